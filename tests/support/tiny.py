"""A model of any of the packages that is small enough to train in a test, on drawn scenes, as a user's own config."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

_TEXT = """\
_base_ = '{base}'
custom_imports = dict(imports=['{package}', {imports}], allow_failed_imports=False)
model = dict(
    pretrained=None,
    data_preprocessor=dict(size=(64, 64)),
{parts}    test_cfg=dict(_delete_=True, mode='whole'))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    {augmentation},
    dict(type='PackSegInputs')]
test_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
scenes = dict(
    _delete_=True, type='BaseSegDataset', data_root='{data}',
    metainfo=dict(classes={classes}, palette={palette}))
train_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(
        data_prefix=dict(img_path='images/train', seg_map_path='annotations/train'),
        pipeline=train_pipeline, **scenes))
val_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(
        data_prefix=dict(img_path='images/val', seg_map_path='annotations/val'), pipeline=test_pipeline, **scenes))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=4, val_interval=1000)
param_scheduler = []
default_hooks = dict(
    logger=dict(interval=1), checkpoint=dict(by_epoch=False, interval=2, max_keep_ckpts=-1, save_best=None))
"""
_VIT = """\
    backbone=dict(
        embed_dim=48, depth=4, num_heads=3, drop_path_rate={drop}, conv_inplane=16, deform_num_heads=3,
        interaction_indexes=[[0, 0], [1, 1], [2, 2], [3, 3]], window_attn=[False] * 4, window_size=[None] * 4),
    decode_head=dict(in_channels=[48] * 4, channels=16, num_classes={number}, dropout_ratio={drop}),
    auxiliary_head=dict(in_channels=48, channels=16, num_classes={number}, dropout_ratio={drop}),
"""
_INTERNIMAGE = """\
    backbone=dict(
        channels=16, depths=[1, 1, 2, 1], groups=[1, 2, 4, 8], drop_path_rate={drop}, init_cfg=None),
    decode_head=dict(in_channels=[16, 32, 64, 128], channels=16, num_classes={number}, dropout_ratio={drop}),
    auxiliary_head=dict(in_channels=64, channels=16, num_classes={number}, dropout_ratio={drop}),
"""
# the config that the tiny one is made from and what its model has instead, by package
_BASES = {
    'vit_adapter': ('upernet_deit_adapter_tiny_512_160k_ade20k.py', _VIT),
    'vit_comer': ('upernet_vit_comer_tiny_512_160k_ade20k.py', _VIT),
    'internimage': ('upernet_internimage_t_512_160k_ade20k.py', _INTERNIMAGE),
}


def write_config(
    path: Path,
    data: Path,
    *,
    drop: float = 0.0,
    random_crop: bool = False,
    imports: tuple[str, ...] = (),
    package: str = 'vit_adapter',
) -> Path:
    """Write the config of a tiny model of ``package`` for the scenes that are drawn into ``data``."""
    config_dir = importlib.import_module(package).CONFIG_DIR

    from shared_ops.openmmlab.demo.scenes import CLASSES, PALETTE, write_data_set

    if not data.exists():
        write_data_set(data, seed=0, splits={'train': 9, 'val': 2})
    base, parts = _BASES[package]
    crop = 'RandomCrop' if random_crop else 'CenterCrop'
    path.write_text(
        _TEXT.format(
            base=(config_dir / 'ade20k' / base).as_posix(),
            package=package,
            imports=', '.join(map(repr, imports)),
            parts=parts.format(drop=drop, number=len(CLASSES)),
            augmentation=f"dict(type='{crop}', crop_size=(64, 64))",
            data=data.as_posix(),
            classes=CLASSES,
            palette=[list(color) for color in PALETTE],
        )
    )
    return path


def build(config: Path):
    """Build the model of a config, whose package is imported."""
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope('mmseg')
    return MODELS.build(Config.fromfile(config).model)


def run_command(
    *arguments: object,
    cwd: Path,
    processes: int = 0,
    env: dict[str, str] | None = None,
    package: str = 'vit_adapter',
    timeout: float | None = None,
) -> subprocess.CompletedProcess:
    """Run ``python -m`` of ``package`` in a process of its own, or under ``torchrun`` in several."""
    command = [sys.executable, '-m']
    if processes:
        command += ['torch.distributed.run', '--standalone', f'--nproc-per-node={processes}', '-m']
    command += [package, *map(str, arguments)]
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', **(env or {})}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)
