# The head and how it is trained, over any backbone, for ADE20K's 150 classes.
# mmdet's transformers, on which the head is built, are in the package `onedl-mmdetection`:
# pip install mmseg-PACKAGE[mask2former]
data_preprocessor = dict(
    type='SegDataPreProcessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=(896, 896))
model = dict(
    type='CheckedEncoderDecoder',
    data_preprocessor=data_preprocessor,
    decode_head=dict(
        type='SemanticMask2FormerHead',
        in_channels=[1024, 1024, 1024, 1024],
        feat_channels=1024,
        out_channels=1024,
        num_classes=150,
        num_queries=200,
        num_transformer_feat_level=3,
        pixel_decoder=dict(
            type='mmdet.MSDeformAttnPixelDecoder',
            num_outs=3,
            norm_cfg=dict(type='GN', num_groups=32),
            act_cfg=dict(type='ReLU'),
            encoder=dict(
                num_layers=6,
                layer_cfg=dict(
                    self_attn_cfg=dict(embed_dims=1024, num_heads=32, num_levels=3, num_points=4, dropout=0.0),
                    ffn_cfg=dict(
                        embed_dims=1024,
                        feedforward_channels=4096,
                        num_fcs=2,
                        ffn_drop=0.0,
                        act_cfg=dict(type='ReLU', inplace=True),
                        with_cp=True))),
            positional_encoding=dict(num_feats=512, normalize=True)),
        enforce_decoder_input_project=False,
        positional_encoding=dict(num_feats=512, normalize=True),
        transformer_decoder=dict(
            return_intermediate=True,
            num_layers=9,
            layer_cfg=dict(
                self_attn_cfg=dict(embed_dims=1024, num_heads=32, attn_drop=0.0, proj_drop=0.0),
                cross_attn_cfg=dict(embed_dims=1024, num_heads=32, attn_drop=0.0, proj_drop=0.0),
                ffn_cfg=dict(
                    embed_dims=1024,
                    feedforward_channels=4096,
                    num_fcs=2,
                    ffn_drop=0.0,
                    act_cfg=dict(type='ReLU', inplace=True),
                    with_cp=True))),
        # one weight for every class, and one for "no object"
        loss_cls=dict(
            type='mmdet.CrossEntropyLoss',
            use_sigmoid=False,
            loss_weight=2.0,
            reduction='mean',
            class_weight=[1.0] * 150 + [0.1]),
        loss_mask=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, reduction='mean', loss_weight=5.0),
        loss_dice=dict(
            type='mmdet.DiceLoss',
            use_sigmoid=True,
            activate=True,
            reduction='mean',
            naive_dice=True,
            eps=1.0,
            loss_weight=5.0)),
    # read by the head: in how many points predicted and true masks are compared, and how they are matched
    train_cfg=dict(
        num_points=12544,
        oversample_ratio=3.0,
        importance_sample_ratio=0.75,
        assigner=dict(
            type='mmdet.HungarianAssigner',
            match_costs=[
                dict(type='mmdet.ClassificationCost', weight=2.0),
                dict(type='mmdet.CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
                dict(type='mmdet.DiceCost', weight=5.0, pred_act=True, eps=1.0),
            ]),
        sampler=dict(type='mmdet.MaskPseudoSampler')),
    test_cfg=dict(mode='slide', crop_size=(896, 896), stride=(512, 512)))
