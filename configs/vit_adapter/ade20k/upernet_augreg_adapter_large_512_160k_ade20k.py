_base_ = './upernet_deit_adapter_base_512_160k_ade20k.py'
model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    pretrained='pretrained/L_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.1-sd_0.1'
    '--imagenet2012-steps_20k-lr_0.01-res_384.pth',
    backbone=dict(
        img_size=384,
        pretrain_size=384,
        embed_dim=1024,
        depth=24,
        num_heads=16,
        drop_path_rate=0.4,
        deform_num_heads=16,
        interaction_indexes=[[0, 5], [6, 11], [12, 17], [18, 23]],
        with_cp=True),
    decode_head=dict(in_channels=[1024, 1024, 1024, 1024]),
    auxiliary_head=dict(in_channels=1024))
optim_wrapper = dict(
    optimizer=dict(lr=2e-5, weight_decay=0.05),
    paramwise_cfg=dict(num_layers=24))
