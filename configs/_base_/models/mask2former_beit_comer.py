_base_ = './mask2former_beit.py'
custom_imports = dict(imports=['vit_comer', 'shared_ops.openmmlab.mask2former'], allow_failed_imports=False)
# the head keeps its activations, which ViT-Adapter's computes again
ffn_cfg = dict(with_cp=False)
model = dict(
    backbone=dict(type='ViTCoMer_beit'),
    decode_head=dict(
        pixel_decoder=dict(encoder=dict(layer_cfg=dict(ffn_cfg=ffn_cfg))),
        transformer_decoder=dict(layer_cfg=dict(ffn_cfg=ffn_cfg))))
