_base_ = './upernet_deit_adapter_base_512_160k_ade20k.py'
model = dict(
    data_preprocessor=dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5]),
    pretrained='pretrained/B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0'
    '--imagenet2012-steps_20k-lr_0.01-res_384.pth',
    backbone=dict(img_size=384, pretrain_size=384))
# no layer decay: heads learn ten times as fast as the rest. The longest matching key decides, then the alphabet.
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=2e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys=dict(
            level_embed=dict(decay_mult=0.0),
            pos_embed=dict(decay_mult=0.0),
            norm=dict(decay_mult=0.0),
            bias=dict(decay_mult=0.0),
            head=dict(lr_mult=10.0))))
