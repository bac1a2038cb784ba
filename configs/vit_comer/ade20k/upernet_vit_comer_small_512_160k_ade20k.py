_base_ = './upernet_vit_comer_base_512_160k_ade20k.py'
model = dict(
    pretrained='pretrained/deit_small_patch16_224-cd65a155.pth',
    backbone=dict(
        embed_dim=384, num_heads=6, drop_path_rate=0.2, deform_num_heads=6, deform_ratio=1.0, dim_ratio=1.5),
    decode_head=dict(in_channels=[384, 384, 384, 384]),
    auxiliary_head=dict(in_channels=384))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3))
