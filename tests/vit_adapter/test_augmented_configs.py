"""A config that tests with several views, through every entry point that people use."""

import json
from pathlib import Path

import vit_adapter

import cv2
import numpy as np
import pytest
import torch
from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.registry import MODELS

from shared_ops.openmmlab.cli import main
from support.tiny import build

SMALL = """
_base_ = {base!r}
model = dict(
    data_preprocessor=dict(size=(32, 32)),
    backbone=dict(
        embed_dim=24, depth=4, num_heads=2, deform_num_heads=2, conv_inplane=4, img_size=32, with_cp=False,
        interaction_indexes=[[0, 0], [1, 1], [2, 2], [3, 3]]),
    decode_head=dict(in_channels=[24] * 4, channels=8),
    auxiliary_head=dict(in_channels=24, channels=4),
    test_cfg=dict(crop_size=(32, 32), stride=(24, 24)))
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = (64, 32)
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type='SETR_Resize', scale=(int(64 * ratio), int(32 * ratio)), crop_size=(32, 32)) for ratio in (0.5, 1.25)]
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small config, random weights, and a picture where ADE20K has its own."""
    folder = tmp_path_factory.mktemp('views')
    base = vit_adapter.CONFIG_DIR / 'ade20k' / 'upernet_beit_adapter_large_640_160k_ade20k_ms.py'
    (folder / 'small_ms.py').write_text(SMALL.format(base=base.as_posix()))
    random = np.random.RandomState(0)
    for kind, suffix, shape in (('images', 'jpg', (41, 60, 3)), ('annotations', 'png', (41, 60))):
        (folder / kind / 'validation').mkdir(parents=True)
        picture = random.randint(0, 151, shape).astype(np.uint8)
        cv2.imwrite(str(folder / kind / 'validation' / f'a.{suffix}'), picture)
    torch.manual_seed(0)
    weights = build(folder / 'small_ms.py').state_dict()
    torch.save({'state_dict': weights, 'meta': {}}, folder / 'small.pth')
    return folder


def scores(folder: Path, name: str, *arguments: str, more: str = 'seed=0') -> dict[str, float]:
    """Run ``python -m vit_adapter test``."""
    work_dir = folder / name
    assert main('vit_adapter', [
        'test', str(folder / 'small_ms.py'), str(folder / 'small.pth'), '--work-dir', str(work_dir), *arguments,
        '--cfg-options', f'test_dataloader.dataset.data_root={folder}', f'experiment_name={name}', more,
    ]) == 0  # fmt: skip
    (file,) = work_dir.glob('*/*.json')
    found = json.loads(file.read_text())
    return {key: found[key] for key in ('aAcc', 'mIoU', 'mAcc')}


def test_test_shows_all_views_with_and_without_tta(folder: Path) -> None:
    several = scores(folder, 'as_it_is')
    assert several == scores(folder, 'with_option', '--tta')
    assert several != scores(folder, 'one', more='test_cfg.type=TestLoop')


def test_other_entry_points_show_one_view(folder: Path) -> None:
    config, checkpoint = str(folder / 'small_ms.py'), str(folder / 'small.pth')
    picture = str(folder / 'images' / 'validation' / 'a.jpg')
    model = init_model(config, checkpoint, device='cpu')
    assert type(model) is MODELS.get('CheckedEncoderDecoder')
    labels = inference_model(model, picture).pred_sem_seg.data[0].numpy()
    assert labels.shape == (41, 60)
    inferencer = MMSegInferencer(config, checkpoint, device='cpu')
    np.testing.assert_array_equal(inferencer(picture)['predictions'], labels)
