"""A Mask2Former over BEiT that is small enough to train in a test, on drawn scenes, as a user's own config."""

from pathlib import Path

from shared_ops.openmmlab.demo.scenes import CLASSES, PALETTE, write_data_set

_TEXT = """\
_base_ = '{base}'
load_from = None
ATTENTION = dict(embed_dims=32, num_heads=4)
FFN = dict(embed_dims=32, feedforward_channels=48)
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(
        img_size=64, embed_dim=48, depth=4, num_heads=3, deform_num_heads=3, conv_inplane=16, drop_path_rate=0.0,
        init_values=1.0, interaction_indexes=[[0, 0], [1, 1], [2, 2], [3, 3]]),
    decode_head=dict(
        in_channels=[48] * 4, feat_channels=32, out_channels=32, num_classes=5, num_queries=9,
        pixel_decoder=dict(
            norm_cfg=dict(num_groups=4),
            encoder=dict(num_layers=2, layer_cfg=dict(self_attn_cfg=ATTENTION, ffn_cfg=FFN)),
            positional_encoding=dict(num_feats=16)),
        positional_encoding=dict(num_feats=16),
        transformer_decoder=dict(
            num_layers=3, layer_cfg=dict(self_attn_cfg=ATTENTION, cross_attn_cfg=ATTENTION, ffn_cfg=FFN)),
        loss_cls=dict(class_weight=[1.0] * 5 + [0.1])),
    train_cfg=dict(num_points=256),
    test_cfg=dict(crop_size=(64, 64), stride=(32, 32)))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='CenterCrop', crop_size=(64, 64)),
    dict(type='PackSegInputs')]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
scenes = dict(
    _delete_=True, type='BaseSegDataset', data_root='{data}', metainfo=dict(classes={classes}, palette={palette}))
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'),
        pipeline=train_pipeline, **scenes))
val_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(
        data_prefix=dict(img_path='images/val', seg_map_path='annotations/val'), pipeline=test_pipeline, **scenes))
test_dataloader = val_dataloader
optim_wrapper = dict(
    _delete_=True, type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    constructor='LayerIdDecayOptimizerConstructor', paramwise_cfg=dict(num_layers=4, layer_decay_rate=0.9))
train_cfg = dict(max_iters=24, val_interval=1000)
param_scheduler = []
randomness = dict(seed=0)
default_hooks = dict(
    logger=dict(interval=1), checkpoint=dict(by_epoch=False, interval=12, max_keep_ckpts=-1, save_best=None))
"""


def write_mask2former_config(path: Path, base: Path) -> Path:
    """Write the config of a small model over that of a large one, and the scenes that it trains on beside it."""
    data = path.parent / 'data'
    write_data_set(data, seed=0, splits={'train': 4, 'val': 2})
    palette = [list(color) for color in PALETTE]
    path.write_text(_TEXT.format(base=base.as_posix(), data=data.as_posix(), classes=CLASSES, palette=palette))
    return path
