"""A Mask2Former head that is small enough for a test; no two sizes of it are equal where they may differ."""

import copy

import torch
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from torch import Tensor, nn

NUM_CLASSES = 5
NUM_QUERIES = 7
IN_CHANNELS = (6, 10, 14, 18)
# of an image of 96 x 160 pixels, of which the backbone has seen a padded multiple of 32
SIZES = ((24, 40), (12, 20), (6, 10), (3, 5))

_FFN = dict(embed_dims=24, num_fcs=2, ffn_drop=0.0, act_cfg=dict(type='ReLU', inplace=True))
_ATTENTION = dict(embed_dims=24, num_heads=4, attn_drop=0.0, proj_drop=0.0)
_HEAD = ConfigDict(
    type='SemanticMask2FormerHead',
    in_channels=list(IN_CHANNELS),
    feat_channels=24,
    out_channels=26,
    num_classes=NUM_CLASSES,
    num_queries=NUM_QUERIES,
    pixel_decoder=dict(
        type='mmdet.MSDeformAttnPixelDecoder',
        num_outs=3,
        norm_cfg=dict(type='GN', num_groups=3),
        act_cfg=dict(type='ReLU'),
        encoder=dict(
            num_layers=2,
            layer_cfg=dict(
                self_attn_cfg=dict(embed_dims=24, num_heads=6, num_levels=3, num_points=2, dropout=0.0),
                ffn_cfg=dict(feedforward_channels=32, **_FFN),
            ),
        ),
        positional_encoding=dict(num_feats=12, normalize=True),
    ),
    positional_encoding=dict(num_feats=12, normalize=True),
    transformer_decoder=dict(
        return_intermediate=True,
        num_layers=4,
        layer_cfg=dict(
            self_attn_cfg=dict(_ATTENTION),
            cross_attn_cfg=dict(_ATTENTION),
            ffn_cfg=dict(feedforward_channels=40, **_FFN),
        ),
    ),
    loss_cls=dict(
        type='mmdet.CrossEntropyLoss',
        use_sigmoid=False,
        loss_weight=2.0,
        reduction='mean',
        class_weight=[1.0] * NUM_CLASSES + [0.1],
    ),
    loss_mask=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True, reduction='mean', loss_weight=5.0),
    loss_dice=dict(
        type='mmdet.DiceLoss',
        use_sigmoid=True,
        activate=True,
        reduction='mean',
        naive_dice=True,
        eps=1.0,
        loss_weight=5.0,
    ),
)
TRAIN_CFG = dict(
    num_points=112,
    oversample_ratio=3.0,
    importance_sample_ratio=0.75,
    assigner=dict(
        type='mmdet.HungarianAssigner',
        match_costs=[
            dict(type='mmdet.ClassificationCost', weight=2.0),
            dict(type='mmdet.CrossEntropyLossCost', weight=5.0, use_sigmoid=True),
            dict(type='mmdet.DiceCost', weight=5.0, pred_act=True, eps=1.0),
        ],
    ),
)


def head_config(**changes: object) -> ConfigDict:
    """Return the config of a small head, with some arguments replaced."""
    return ConfigDict({**copy.deepcopy(_HEAD), **changes})


def build_head(config: ConfigDict | None = None) -> nn.Module:
    """Build a head whose predictions depend on all of its parameters."""
    from mmseg.registry import MODELS

    import shared_ops.openmmlab.mask2former  # noqa: F401  (needs mmdet)

    init_default_scope('mmseg')
    head = MODELS.build(config or head_config())
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return head


def features(batch: int = 2, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Return what a backbone may give to the head."""
    return [torch.randn(batch, channels, *size, dtype=dtype) for channels, size in zip(IN_CHANNELS, SIZES, strict=True)]


def samples(label_maps: Tensor) -> list:
    """Return label maps ``[N, H, W]`` as MMSegmentation hands them to a head."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    return [SegDataSample(gt_sem_seg=PixelData(data=label_map[None])) for label_map in label_maps]


def label_maps(batch: int = 2) -> Tensor:
    """Return label maps in which no image has all classes, and every one has ignored pixels."""
    maps = torch.randint(0, NUM_CLASSES, (batch, 6, 10)).repeat_interleave(16, 1).repeat_interleave(16, 2)
    for image, label_map in enumerate(maps):
        label_map[label_map == image % NUM_CLASSES] = (image + 1) % NUM_CLASSES
    maps[:, :9, 11:40] = 255
    return maps
