"""Configs for data of one's own, over any of the published ones."""

import importlib
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS

CROP = (64, 96)
NAMES = ['plain', 'stripes', 'checks', 'dots', 'rings']


def config_names(package: str) -> list[str]:
    """Return ``<data set>/<name>.py`` of every config of a package."""
    folder = importlib.import_module(package).CONFIG_DIR
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob('[!_]*/[!_]*.py'))


def draw_data(folder: Path) -> Path:
    """Draw scenes whose label maps hold the five classes, and 77, which is none."""
    import cv2

    from shared_ops.openmmlab.demo.scenes import write_data_set

    write_data_set(folder, seed=0, splits={'train': 3, 'val': 2})
    for path in folder.glob('annotations/*/*.png'):
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        labels[:5] = 77
        cv2.imwrite(str(path), labels)
    return folder


def write_own_config(package: str, name: str, data: Path, path: Path, **weights: object) -> Config:
    """Write the config of ``draw_data``'s scenes over a published one, and read it."""
    from shared_ops.openmmlab.own_data.classes import ClassList
    from shared_ops.openmmlab.own_data.config import OwnData, Plan, Weights, config_text
    from shared_ops.openmmlab.own_data.folders import find_pairs

    own = OwnData(
        root=data.as_posix(),
        train=('images/train', 'annotations/train'),
        val=('images/val', 'annotations/val'),
        pairs=find_pairs(data / 'images' / 'train', data / 'annotations' / 'train'),
        classes=ClassList(NAMES, [[10 * index, 0, 0] for index in range(5)]),
        ignored=(77,),
    )
    plan = Plan(crop=CROP, short_side=64, batch=4, iterations=200)
    folder = importlib.import_module(package).CONFIG_DIR
    path.write_text(config_text(package, folder / name, folder, own, plan, Weights(**weights)))
    return Config.fromfile(path)


def check_own_config(config: Config, published: Config) -> None:
    """Check what a config for other data has to change of a published one, and what it must leave."""
    model, before = config.model, published.model
    assert {**model.backbone, 'init_cfg': None} == {**before.backbone, 'init_cfg': None}
    assert not model.get('pretrained') and not model.backbone.get('init_cfg')
    assert config.load_from == 'published.pth'
    assert model.data_preprocessor.size == CROP
    if model.test_cfg.mode == 'slide':
        assert (model.test_cfg.crop_size, model.test_cfg.stride) == (CROP, (42, 64))
    for split, folder in {'train': 'train', 'val': 'val', 'test': 'val'}.items():
        dataset = config[f'{split}_dataloader'].dataset
        assert {*dataset} == {
            'type', 'data_root', 'data_prefix', 'pipeline', 'metainfo', 'img_suffix', 'seg_map_suffix', 'ignored',
        }  # fmt: skip
        assert dataset.data_prefix.img_path == f'images/{folder}'
    assert config.train_dataloader.batch_size == 4
    rate = published.optim_wrapper.optimizer.lr
    assert abs(config.optim_wrapper.optimizer.lr / rate - 0.5) < 0.01  # 4 pictures in place of 16
    warm_up, line = config.param_scheduler
    assert (warm_up.end, line.end, config.train_cfg.max_iters, config.train_cfg.val_interval) == (21, 201, 200, 20)
    assert config.default_hooks.checkpoint.save_best == 'mIoU'
    assert config.val_evaluator.iou_metrics == config.test_evaluator.iou_metrics == ['mIoU']
    assert config.test_cfg.type == 'TestLoop'


def check_heads(config: Config) -> None:
    """Check that the heads tell five classes apart."""
    import torch

    init_default_scope('mmseg')
    with torch.device('meta'):
        head = MODELS.build(config.model.decode_head)
        if config.model.get('auxiliary_head'):
            assert MODELS.build(config.model.auxiliary_head).conv_seg.out_channels == 5
    if hasattr(head, 'cls_embed'):
        assert head.cls_embed.out_features == len(head.class_weight) == 6
    else:
        assert head.conv_seg.out_channels == 5


def check_samples(config: Config) -> None:
    """Check what a training step and a test get to see."""
    init_default_scope('mmseg')
    for split in ('train', 'val'):
        # serialising collects garbage, which takes longer than all the rest
        sample = DATASETS.build({**config[f'{split}_dataloader'].dataset, 'serialize_data': False})[0]
        labels = sample['data_samples'].gt_sem_seg.data
        assert {*labels.unique().tolist()} <= {0, 1, 2, 3, 4, 255}
        height, width = sample['inputs'].shape[1:]
        assert (height, width) <= CROP if split == 'train' else min(height, width) >= 64
    assert (labels == 255).sum() == 5 * 96


def check_other_data(package: str, name: str, data: Path, path: Path) -> None:
    """Check the config that ``new`` writes to ``path`` over a published one: its settings, heads and samples."""
    config = write_own_config(package, name, data, path, checkpoint='published.pth')
    check_own_config(config, Config.fromfile(importlib.import_module(package).CONFIG_DIR / name))
    check_heads(config)
    check_samples(config)


def train_a_step(config: Config, overrides: dict) -> dict[str, float]:
    """Train a small variant of a config's model on its own data for a step, in bfloat16, and return what it logs."""
    import torch
    from mmengine.dataset import pseudo_collate
    from mmengine.model import revert_sync_batchnorm
    from mmengine.optim import build_optim_wrapper

    init_default_scope('mmseg')
    config.merge_from_dict(overrides)
    config.optim_wrapper.type = 'Bfloat16OptimWrapper'
    config.optim_wrapper.accumulative_counts = 2
    model = revert_sync_batchnorm(MODELS.build(config.model)).train()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    dataset = DATASETS.build({**config.train_dataloader.dataset, 'serialize_data': False})
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for update in (False, True):
        logged = model.train_step(pseudo_collate([dataset[0], dataset[1]]), wrapper)
        moved = [name for name, value in model.named_parameters() if not torch.equal(value, before[name])]
        assert bool(moved) == update
    assert {name.split('.')[0] for name in moved} >= {'backbone', 'decode_head'}
    assert all(value.dtype == torch.float32 for value in model.parameters())
    return {name: float(value) for name, value in logged.items()}
