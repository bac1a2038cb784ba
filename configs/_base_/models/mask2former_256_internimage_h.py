_base_ = './mask2former_internimage_h.py'
# a head with a quarter of the channels and half of the queries
attention_cfg = dict(embed_dims=256, num_heads=8)
model = dict(
    decode_head=dict(
        feat_channels=256,
        out_channels=256,
        num_queries=100,
        pixel_decoder=dict(
            encoder=dict(
                layer_cfg=dict(
                    self_attn_cfg=attention_cfg,
                    ffn_cfg=dict(embed_dims=256, feedforward_channels=1024))),
            positional_encoding=dict(num_feats=128)),
        positional_encoding=dict(num_feats=128),
        transformer_decoder=dict(
            layer_cfg=dict(
                self_attn_cfg=attention_cfg,
                cross_attn_cfg=attention_cfg,
                ffn_cfg=dict(embed_dims=256, feedforward_channels=2048)))))
