"""Published checkpoints through every entry point that people use: tools/test.py, init_model, MMSegInferencer."""

import os
import re
import subprocess
import sys
from pathlib import Path

import vit_adapter

import numpy as np
import pytest
import torch
from mmengine import Config
from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules

from support.checkpoints import RunsCode

SMALL = """
_base_ = {base!r}
model = dict(
    backbone=dict(
        embed_dim=24, depth=4, num_heads=2, deform_num_heads=2, conv_inplane=4, img_size=32, pretrain_size=32,
        interaction_indexes=[[0, 0], [1, 1], [2, 2], [3, 3]]),
    decode_head=dict(in_channels=[24] * 4, channels=8),
    auxiliary_head=dict(in_channels=24, channels=4),
    test_cfg=dict(crop_size=(64, 64), stride=(48, 48)))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(96, 64), keep_ratio=True),
    dict(type='LoadAnnotations', reduce_zero_label=True),
    dict(type='PackSegInputs')]
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=dict(pipeline=test_pipeline))
"""
KINDS = ['whole', 'bare', 'model', 'module.', 'mmseg 0.x']


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small config, and a picture where ADE20K has its own."""
    import cv2

    folder = tmp_path_factory.mktemp('checkpoints')
    base = vit_adapter.CONFIG_DIR / 'ade20k' / 'upernet_deit_adapter_tiny_512_160k_ade20k.py'
    (folder / 'small.py').write_text(SMALL.format(base=base.as_posix()))
    random = np.random.RandomState(0)
    for kind, suffix, shape in [('images', 'jpg', (70, 90, 3)), ('annotations', 'png', (70, 90))]:
        data = folder / 'data' / 'ade' / 'ADEChallengeData2016' / kind / 'validation'
        data.mkdir(parents=True)
        cv2.imwrite(str(data / f'scene.{suffix}'), random.randint(0, 151, shape).astype(np.uint8))
    return folder


@pytest.fixture(scope='module')
def weights(folder: Path) -> dict[str, torch.Tensor]:
    register_all_modules()
    torch.manual_seed(3)
    config = Config.fromfile(folder / 'small.py')
    return MODELS.build(config.model).state_dict()


def save(folder: Path, kind: str, weights: dict[str, torch.Tensor]) -> str:
    content = {
        'whole': {'state_dict': weights, 'meta': {'dataset_meta': {'classes': ('a',) * 150, 'palette': None}}},
        'bare': dict(weights),
        'model': {'model': weights, 'epoch': 5},
        'module.': {'state_dict': {f'module.{key}': value for key, value in weights.items()}},
        'mmseg 0.x': {'state_dict': weights, 'meta': {'CLASSES': ('a',) * 150, 'mmseg_version': '0.20.2'}},
    }[kind]
    path = folder / f'{re.sub("[^a-z0-9]", "_", kind)}.pth'
    torch.save(content, path)
    return str(path)


def picture(folder: Path) -> str:
    return str(next((folder / 'data' / 'ade' / 'ADEChallengeData2016' / 'images' / 'validation').iterdir()))


def run_test_tool(folder: Path, checkpoint: str) -> subprocess.CompletedProcess[str]:
    import mmseg

    tool = Path(mmseg.__file__).parent / '.mim' / 'tools' / 'test.py'
    command = [sys.executable, str(tool), 'small.py', checkpoint, '--work-dir', 'work']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize('kind', KINDS)
def test_init_model(folder: Path, weights: dict[str, torch.Tensor], kind: str) -> None:
    model = init_model(str(folder / 'small.py'), save(folder, kind, weights), device='cpu')
    for key, value in model.state_dict().items():
        assert torch.equal(value, weights[key]), key
    assert len(model.dataset_meta['classes']) == 150
    result = inference_model(model, picture(folder))
    assert result.pred_sem_seg.data.shape == (1, 70, 90)


@pytest.mark.parametrize('kind', ['bare', 'mmseg 0.x'])
def test_inferencer(folder: Path, weights: dict[str, torch.Tensor], kind: str) -> None:
    inferencer = MMSegInferencer(str(folder / 'small.py'), save(folder, kind, weights), device='cpu')
    assert torch.equal(inferencer.model.backbone.pos_embed, weights['backbone.pos_embed'])
    result = inferencer(picture(folder), return_datasamples=True)
    assert result.pred_sem_seg.data.shape == (1, 70, 90)


@pytest.mark.parametrize('kind', ['bare', 'mmseg 0.x'])
def test_test_tool(folder: Path, weights: dict[str, torch.Tensor], kind: str) -> None:
    result = run_test_tool(folder, save(folder, kind, weights))
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r'mIoU: +\d', result.stdout + result.stderr)


@pytest.mark.parametrize('entry', ['init_model', 'inferencer', 'tool'])
def test_misfit_is_an_error_everywhere(folder: Path, weights: dict[str, torch.Tensor], entry: str) -> None:
    wrong = {key: value for key, value in weights.items() if key != 'backbone.spm.fc2.bias'}
    wrong['backbone.cls_token'] = torch.ones(1, 1, 24)
    wrong['decode_head.conv_seg.bias'] = torch.ones(21)
    checkpoint = save(folder, 'bare', wrong)
    if entry == 'tool':
        result = run_test_tool(folder, checkpoint)
        assert result.returncode != 0
        message = result.stderr
    else:
        load = init_model if entry == 'init_model' else MMSegInferencer
        with pytest.raises(RuntimeError) as error:
            load(str(folder / 'small.py'), checkpoint, device='cpu')
        message = str(error.value)
    assert '1 missing in the file: backbone.spm.fc2.bias' in message
    assert '1 unexpected in the model: backbone.cls_token' in message
    assert 'decode_head.conv_seg.bias (file [21], model [150])' in message


@pytest.mark.parametrize('entry', ['init_model', 'inferencer', 'tool', 'pretrained'])
def test_no_entry_point_runs_a_pickle(
    folder: Path, weights: dict[str, torch.Tensor], entry: str, tmp_path: Path
) -> None:
    marker = tmp_path / 'marker'
    checkpoint = str(tmp_path / 'trap.pth')
    torch.save({'state_dict': weights, 'meta': RunsCode(marker)}, checkpoint)
    if entry == 'tool':
        result = run_test_tool(folder, checkpoint)
        assert result.returncode != 0
        message = result.stderr
    else:
        with pytest.raises(ValueError) as error:
            if entry == 'pretrained':
                config = Config.fromfile(folder / 'small.py')
                config.model.pretrained = checkpoint
                MODELS.build(config.model).init_weights()
            else:
                load = init_model if entry == 'init_model' else MMSegInferencer
                load(str(folder / 'small.py'), checkpoint, device='cpu')
        message = str(error.value)
    assert 'reading it would run code; it was refused' in message
    assert not marker.exists()
