_base_ = './mask2former_beit.py'
custom_imports = dict(imports=['vit_adapter', 'shared_ops.openmmlab.mask2former'], allow_failed_imports=False)
ffn_cfg = dict(with_cp=True)
model = dict(
    backbone=dict(type='BEiTAdapter'),
    decode_head=dict(
        pixel_decoder=dict(encoder=dict(layer_cfg=dict(ffn_cfg=ffn_cfg))),
        transformer_decoder=dict(layer_cfg=dict(ffn_cfg=ffn_cfg))))
