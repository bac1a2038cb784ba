"""The demo's training config: a leaf over a package's own config, as a user would write one."""

from __future__ import annotations

import importlib
from pathlib import Path
from string import Template

from ...errors import InputError
from .scenes import CLASSES, PALETTE, SIZE

# Base config, and what makes its model small enough for a few minutes on two CPU cores, by package.
MODELS = {
    'vit_adapter': (
        'ade20k/upernet_deit_adapter_tiny_512_160k_ade20k.py',
        """\
    pretrained=None,
    backbone=dict(
        embed_dim=96,
        depth=4,
        drop_path_rate=0.0,
        conv_inplane=32,
        interaction_indexes=[[0, 0], [1, 1], [2, 2], [3, 3]],
        window_attn=[False] * 4,
        window_size=[None] * 4,
    ),
    decode_head=dict(in_channels=[96] * 4, channels=32, num_classes=num_classes),
    auxiliary_head=dict(in_channels=96, channels=16, num_classes=num_classes),
""",
    ),
}

_TEXT = Template("""\
# Written by `python -m $package demo`: what differs from the base for a small model on drawn scenes.
_base_ = '$base'

classes = $classes
palette = $palette
num_classes = len(classes)
crop_size = ($size, $size)

model = dict(
    data_preprocessor=dict(size=crop_size),
$model    test_cfg=dict(_delete_=True, mode='whole'),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs'),
]
scenes = dict(
    _delete_=True,
    type='BaseSegDataset',
    data_root='$data_root',
    metainfo=dict(classes=classes, palette=palette),
)
train_dataloader = dict(
    batch_size=$batch_size,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'),
        pipeline=train_pipeline,
        **scenes,
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_prefix=dict(img_path='images/val', seg_map_path='annotations/val'),
        pipeline=test_pipeline,
        **scenes,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

# $iterations iterations * $batch_size scenes = $epochs times the $train_scenes scenes of the training split
max_iters = $iterations
warmup = max_iters // 10
train_cfg = dict(max_iters=max_iters, val_interval=max(1, max_iters // 10))
# Higher rates than the base's, and the same for every layer: nothing here starts from pretrained weights.
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=$learning_rate, weight_decay=0.01),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=warmup + 1),
    dict(type='PolyLR', power=1.0, eta_min=0.0, by_epoch=False, begin=warmup, end=max_iters + 1),
]
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=max_iters))
randomness = dict(seed=$seed)
work_dir = '$work_dir'
""")

BATCH_SIZE = 8
LEARNING_RATE = 3e-3


def check_package(package: str) -> None:
    """Check that there is a demo for a package.

    Raises:
        ValueError: there is none.
    """
    if package not in MODELS:
        commands = ' or '.join(f'python -m {name} demo' for name in MODELS)
        raise InputError(f'{package} has no demo; run {commands}')


def write_config(package: str, path: Path, *, seed: int, iterations: int, train_scenes: int) -> None:
    """Write the config that trains on the scenes under ``path.parent / 'data'``.

    Args:
        package: import name of the package whose model is trained.
        path: the file to write, absolute; training writes into ``training`` beside it.
        seed: seed of the initial weights and of the order of the scenes.
        iterations: number of training steps.
        train_scenes: size of the training split.

    Raises:
        ValueError: there is no demo for the package.
    """
    check_package(package)
    base, model = MODELS[package]
    config_dir: Path = importlib.import_module(package).CONFIG_DIR
    text = _TEXT.substitute(
        package=package,
        base=(config_dir / base).as_posix(),
        model=model,
        classes=CLASSES,
        palette=[list(color) for color in PALETTE],
        size=SIZE,
        data_root=(path.parent / 'data').as_posix(),
        work_dir=(path.parent / 'training').as_posix(),
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        iterations=iterations,
        epochs=f'{iterations * BATCH_SIZE / train_scenes:.1f}',
        train_scenes=train_scenes,
        seed=seed,
    )
    path.write_text(text, encoding='utf-8')
