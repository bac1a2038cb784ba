_base_ = './mask2former_beit_adapter.py'
# a head with a quarter of the channels
model = dict(
    decode_head=dict(
        feat_channels=256,
        out_channels=256,
        pixel_decoder=dict(
            encoder=dict(
                layer_cfg=dict(
                    self_attn_cfg=dict(embed_dims=256, num_heads=8),
                    ffn_cfg=dict(embed_dims=256, feedforward_channels=2048))),
            positional_encoding=dict(num_feats=128)),
        positional_encoding=dict(num_feats=128),
        transformer_decoder=dict(
            layer_cfg=dict(
                self_attn_cfg=dict(embed_dims=256, num_heads=8),
                cross_attn_cfg=dict(embed_dims=256, num_heads=8),
                ffn_cfg=dict(embed_dims=256, feedforward_channels=2048)))))
