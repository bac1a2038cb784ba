"""A small Mask2Former on BEiT, as a user writes its config: trained, resumed, tested, and given padded images."""

import json
import subprocess
import sys
from pathlib import Path

import vit_adapter

import pytest
import torch
from mmengine.config import Config

from shared_ops.openmmlab.cli import main
from shared_ops.openmmlab.demo.scenes import CLASSES, PALETTE, write_data_set
from support.reference import build, metas

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


@pytest.fixture(scope='module')
def config(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('mask2former')
    write_data_set(folder / 'data', seed=0, splits={'train': 4, 'val': 2})
    base = vit_adapter.CONFIG_DIR / 'ade20k' / 'mask2former_beit_adapter_large_896_80k_ade20k_ss.py'
    path = folder / 'small.py'
    path.write_text(
        _TEXT.format(
            base=base.as_posix(),
            data=(folder / 'data').as_posix(),
            classes=CLASSES,
            palette=[list(color) for color in PALETTE],
        )
    )
    return path


def logged(folder: Path, key: str) -> list[float]:
    """Return what was logged under ``key`` in all runs of a work folder, in order."""
    lines = [line for file in sorted(folder.glob('*/vis_data/scalars.json')) for line in file.read_text().splitlines()]
    return [entry[key] for entry in map(json.loads, lines) if key in entry]


def test_training_resuming_testing(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')  # the tools set it
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cpu')
    train = ['train', str(config), '--work-dir', 'work']
    assert main('vit_adapter', [*train, '--cfg-options', 'train_cfg.max_iters=12']) == 0
    assert main('vit_adapter', [*train, '--resume']) == 0
    losses = logged(tmp_path / 'work', 'loss')
    assert len(losses) == 24
    assert sum(losses[-4:]) < 0.9 * sum(losses[:4]), losses
    assert {f'decode.{part}' for part in ('loss_cls', 'd0.loss_mask', 'd2.loss_dice')} <= set(
        json.loads(next((tmp_path / 'work').glob('*/vis_data/scalars.json')).read_text().splitlines()[0])
    )

    assert main('vit_adapter', ['test', str(config), 'work/iter_24.pth', '--work-dir', 'tested']) == 0
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
    assert message.startswith('ImportError')
    assert "pip install 'mmseg-vit-adapter[mask2former]'" in message
