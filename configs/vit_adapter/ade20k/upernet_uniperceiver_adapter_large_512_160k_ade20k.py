_base_ = './upernet_deit_adapter_base_512_160k_ade20k.py'
model = dict(
    pretrained='pretrained/uni-perceiver-large-L24-H1024-224size-pretrained_converted.pth',
    backbone=dict(
        _delete_=True,
        type='UniPerceiverAdapter',
        patch_size=16,
        embed_dim=1024,
        depth=24,
        num_heads=16,
        mlp_ratio=4,
        drop_path_rate=0.4,
        conv_inplane=64,
        n_points=4,
        deform_num_heads=16,
        cffn_ratio=0.25,
        deform_ratio=0.5,
        with_cp=True,
        interaction_indexes=[[0, 5], [6, 11], [12, 17], [18, 23]],
        window_attn=False,
        window_size=None),
    decode_head=dict(in_channels=[1024, 1024, 1024, 1024]),
    auxiliary_head=dict(in_channels=1024))
optim_wrapper = dict(
    optimizer=dict(weight_decay=0.05),
    paramwise_cfg=dict(num_layers=24, layer_decay_rate=0.80))
