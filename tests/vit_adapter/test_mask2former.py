"""A small Mask2Former on BEiT, as a user writes its config: trained, resumed, tested, and given padded images."""

import json
import subprocess
import sys
from pathlib import Path

import vit_adapter

import pytest
import torch
from mmengine.config import Config

from support.reference import build, metas
from support.tiny import run_command
from support.tiny_mask2former import write_mask2former_config


@pytest.fixture(scope='module')
def config(tmp_path_factory) -> Path:
    base = vit_adapter.CONFIG_DIR / 'ade20k' / 'mask2former_beit_adapter_large_896_80k_ade20k_ss.py'
    return write_mask2former_config(tmp_path_factory.mktemp('mask2former') / 'small.py', base)


def logged(folder: Path, key: str) -> list[float]:
    """Return what was logged under ``key`` in all runs of a work folder, in order."""
    lines = [line for file in sorted(folder.glob('*/vis_data/scalars.json')) for line in file.read_text().splitlines()]
    return [entry[key] for entry in map(json.loads, lines) if key in entry]


def run(*arguments, cwd):
    result = run_command(*arguments, cwd=cwd, env={'OMP_NUM_THREADS': '1'})
    assert result.returncode == 0, result.stdout + result.stderr


def test_training_resuming_testing(config, tmp_path):
    train = ['train', config, '--work-dir', 'work']
    run(*train, '--cfg-options', 'train_cfg.max_iters=12', cwd=tmp_path)
    run(*train, '--resume', cwd=tmp_path)
    losses = logged(tmp_path / 'work', 'loss')
    assert len(losses) == 24
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4]), losses
    assert {f'decode.{part}' for part in ('loss_cls', 'd0.loss_mask', 'd2.loss_dice')} <= set(
        json.loads(next((tmp_path / 'work').glob('*/vis_data/scalars.json')).read_text().splitlines()[0])
    )

    run('test', config, 'work/iter_24.pth', '--work-dir', 'tested', cwd=tmp_path)
    (result,) = (tmp_path / 'tested').glob('*/*.json')
    assert 0 < json.loads(result.read_text())['mIoU'] <= 100


class TestPadding:
    """Scores come out uncut at the size of what went in; MMSegmentation cuts the padding off afterwards."""

    @pytest.fixture
    def model(self, config):
        whole = Config.fromfile(config)
        whole.model.test_cfg = dict(mode='whole')
        return build(whole).eval()

    @pytest.mark.parametrize('meta', [{}, {'img_shape': (90, 117)}, {'img_shape': (90, 117), 'pad_shape': (3, 5)}])
    def test_scores_have_the_size_of_the_input(self, model, meta):
        image = torch.randn(1, 3, 96, 128)
        with torch.no_grad():
            scores = model.inference(image, [{**metas(image)[0], **meta}])
        assert scores.shape == (1, 5, 96, 128)

    def test_padding_is_cut(self, model):
        from mmseg.structures import SegDataSample

        sample = SegDataSample(
            metainfo={'ori_shape': (180, 234), 'img_shape': (90, 117), 'img_padding_size': (0, 11, 0, 6)}
        )
        with torch.no_grad():
            image = torch.randn(1, 3, 96, 128)
            scores = model.encode_decode(image, metas(image))
            (result,) = model.predict(image, [sample])
        assert result.pred_sem_seg.shape == (180, 234)
        expected = torch.nn.functional.interpolate(scores[..., :90, :117], (180, 234), mode='bilinear')
        torch.testing.assert_close(result.seg_logits.data, expected[0])

    def test_windows_are_decoded_one_by_one(self, config):
        model = build(Config.fromfile(config)).eval()
        image = torch.randn(2, 3, 64, 90)
        with torch.no_grad():
            scores = model.inference(image, metas(image))
            left, right = (model.encode_decode(image[..., x : x + 64], metas(image)) for x in (0, 26))
        torch.testing.assert_close(scores[..., :26], left[..., :26])
        torch.testing.assert_close(scores[..., 26:64], (left[..., 26:] + right[..., :38]) / 2)
        torch.testing.assert_close(scores[..., 64:], right[..., 38:])


def test_without_mmdetection_the_install_line_is_the_last_word():
    """The config can be read, for its other parts; the head cannot be built."""
    script = """
import importlib.util
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == 'mmdet' else find_spec(name, *rest)
import vit_adapter
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
init_default_scope('mmseg')
config = Config.fromfile(vit_adapter.CONFIG_DIR / 'ade20k' / 'mask2former_beit_adapter_large_896_80k_ade20k_ss.py')
print(config.model.backbone.img_size)
MODELS.build(config.model.decode_head)
"""
    result = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == '896', result.stderr
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith('shared_ops.errors.InstallationError')
    assert "pip install 'mmseg-vit-adapter[mask2former]'" in message
