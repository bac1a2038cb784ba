_base_ = './mask2former.py'
custom_imports = dict(imports=['internimage', 'shared_ops.openmmlab.mask2former'], allow_failed_imports=False)
ffn_cfg = dict(with_cp=False)
model = dict(
    pretrained=None,
    backbone=dict(
        type='InternImage',
        core_op='DCNv3',
        channels=320,
        depths=[6, 6, 32, 6],
        groups=[10, 20, 40, 80],
        mlp_ratio=4.0,
        drop_path_rate=0.5,
        norm_layer='LN',
        layer_scale=None,
        offset_scale=1.0,
        post_norm=False,
        dw_kernel_size=5,
        res_post_norm=True,
        level2_post_norm=True,
        level2_post_norm_block_ids=[5, 11, 17, 23, 29],
        center_feature_scale=True,
        with_cp=False,
        out_indices=(0, 1, 2, 3),
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://huggingface.co/OpenGVLab/InternImage/resolve/main/internimage_h_jointto22k_384.pth')),
    decode_head=dict(
        in_channels=[320, 640, 1280, 2560],
        pixel_decoder=dict(encoder=dict(layer_cfg=dict(ffn_cfg=ffn_cfg))),
        transformer_decoder=dict(layer_cfg=dict(ffn_cfg=ffn_cfg))),
    test_cfg=dict(_delete_=True, mode='whole'))
