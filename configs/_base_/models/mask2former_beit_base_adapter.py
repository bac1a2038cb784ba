_base_ = './mask2former_256_beit_adapter.py'
# BEiT-B, with activations kept instead of computed again
model = dict(
    pretrained='pretrained/beit_base_patch16_224_pt22k_ft22k.pth',
    backbone=dict(
        embed_dim=768,
        depth=12,
        num_heads=12,
        drop_path_rate=0.2,
        deform_num_heads=12,
        with_cp=False,
        interaction_indexes=[[0, 2], [3, 5], [6, 8], [9, 11]]),
    decode_head=dict(
        in_channels=[768, 768, 768, 768],
        pixel_decoder=dict(encoder=dict(layer_cfg=dict(ffn_cfg=dict(feedforward_channels=1024, with_cp=False)))),
        transformer_decoder=dict(layer_cfg=dict(ffn_cfg=dict(with_cp=False)))))
