_base_ = [
    '../_base_/models/upernet_beit_adapter.py',
    '../_base_/datasets/ade20k_512.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
# BEiT without adapter, for comparison
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(
        _delete_=True,
        type='BEiTBaseline',
        patch_size=16,
        embed_dim=1024,
        depth=24,
        num_heads=16,
        mlp_ratio=4,
        qkv_bias=True,
        use_abs_pos_emb=False,
        use_rel_pos_bias=True,
        img_size=512,
        init_values=1e-6,
        drop_path_rate=0.2,
        out_indices=[7, 11, 15, 23]),
    test_cfg=dict(crop_size=(512, 512), stride=(341, 341)))
