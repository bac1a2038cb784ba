"""Weights of others: the published classifiers as a start for training, published checkpoints of whole models."""

from pathlib import Path

import internimage
from internimage import InternImage

import pytest
import torch
from mmengine.config import Config
from mmseg.apis import init_model
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from torch import Tensor, nn

PUBLISHED_IN = 'https://huggingface.co/OpenGVLab/InternImage/resolve/main/'
SIZES = {
    'channels': 8,
    'depths': (1, 1, 2, 1),
    'groups': (2, 4, 8, 16),
    'dw_kernel_size': 5,
    'res_post_norm': True,
    'level2_post_norm': True,
    'level2_post_norm_block_ids': (1,),
    'center_feature_scale': True,
}
CONFIG = """
_base_ = {base!r}
model = dict(
    backbone=dict(channels=8, depths=[1, 1, 2, 1], groups=[2, 4, 8, 16]),
    decode_head=dict(in_channels=[8, 16, 32, 64], channels=8),
    auxiliary_head=dict(in_channels=32, channels=4))
"""
# what the classifiers have beside the backbone: T to XL the first three, H and G the others and the last
HEADS = (
    'conv_head.0.weight', 'conv_head.1.0.running_mean', 'head.weight', 'dcnv3_head_x4.0.weight', 'dcnv3_head_x3.weight',
    'clip_projector.norm1_q.0.weight', 'clip_projector.cross_dcn.q.weight', 'fc_norm.0.weight', 'head.bias',
)  # fmt: skip


def backbone(checkpoint: object, **changes: object) -> InternImage:
    torch.manual_seed(1)
    return InternImage(**{**SIZES, **changes}, init_cfg={'type': 'Pretrained', 'checkpoint': str(checkpoint)})


def classifier(**changes: object) -> dict[str, Tensor]:
    """Return a classifier's weights, none of which are 0 or 1."""
    model = InternImage(**{**SIZES, **changes})
    torch.manual_seed(2)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return {**model.state_dict(), **{name: torch.randn(3, 5) for name in HEADS}}


@pytest.mark.parametrize('wrapper', ['model', 'state_dict', None])
@pytest.mark.parametrize('prefix', ['', 'module.', 'backbone.'])
def test_a_classifier_fills_the_backbone(tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    weights = classifier()
    saved = {prefix + name: value for name, value in weights.items()}
    torch.save(saved if wrapper is None else {wrapper: saved, 'epoch': 3}, tmp_path / 'internimage.pth')
    model = backbone(tmp_path / 'internimage.pth')  # building it reads nothing
    assert not torch.equal(
        model.state_dict()['levels.2.post_norms.0.0.weight'], weights['levels.2.post_norms.0.0.weight']
    )
    model.init_weights()
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name]), name


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'depths': (1, 1, 3, 1)}, r'levels\.2\.blocks\.2\.norm1\.0\.weight is not in the model'),
        ({'depths': (1, 1, 2, 2)}, r'levels\.3\.blocks\.1\.norm1\.0\.weight is not in the model'),
        ({'channels': 16}, r'patch_embed\.conv1\.weight is \[8, 3, 3, 3\], the model has \[4, 3, 3, 3\]'),
        ({'center_feature_scale': False}, r'center_feature_scale_proj_weight is missing'),
        (
            {'res_post_norm': False, 'layer_scale': 1.0},
            r'res_post_norm1\.0\.weight is missing.*norms must be those of the weights',
        ),
    ],
)
def test_weights_of_another_size_are_refused(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    torch.save({'model': classifier(**changes)}, tmp_path / 'other.pth')
    model = backbone(tmp_path / 'other.pth')
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(RuntimeError, match=r'(?s)other\.pth do not fit InternImage.*' + reason):
        model.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), 'nothing was copied'


def test_running_statistics_are_taken_too(tmp_path: Path) -> None:
    weights = InternImage(**SIZES, norm_layer='BN').train()
    weights(torch.randn(2, 3, 40, 50))
    torch.save({'model': weights.state_dict()}, tmp_path / 'bn.pth')
    model = backbone(tmp_path / 'bn.pth', norm_layer='BN')
    model.init_weights()
    assert torch.equal(model.patch_embed.norm1[0].running_mean, weights.patch_embed.norm1[0].running_mean)


def test_missing_file_says_where_it_is_published() -> None:
    name = 'internimage_t_1k_224.pth'
    with pytest.raises(FileNotFoundError, match=rf'download {PUBLISHED_IN}{name} to .*model\.backbone\.init_cfg=None'):
        backbone(f'nowhere/{name}').init_weights()


def test_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setenv('MMSEG_MIRROR', 'https://pan.baidu.com')  # refused without asking
    with pytest.raises(RuntimeError, match=r'browsers only.*model\.backbone\.init_cfg\.checkpoint=FILE'):
        backbone(PUBLISHED_IN + 'internimage_t_1k_224.pth').init_weights()


def test_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was downloaded before is used; downloading itself is tested with shared_ops."""
    weights = classifier()
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    (tmp_path / 'checkpoints').mkdir()
    torch.save({'model': weights}, tmp_path / 'checkpoints' / 'internimage_t_1k_224.pth')
    model = backbone(PUBLISHED_IN + 'internimage_t_1k_224.pth')
    model.init_weights()
    assert torch.equal(model.patch_embed.conv1.weight, weights['patch_embed.conv1.weight'])


def test_every_config_starts_from_a_published_file() -> None:
    configs = sorted(internimage.CONFIG_DIR.glob('[!_]*/*.py'))
    assert configs
    for path in configs:
        config = Config.fromfile(path)
        start = config.model.backbone.init_cfg
        # a whole model of another data set, or the backbone of a classifier
        assert (start is None) == (config.load_from is not None), path
        assert (config.load_from or start.checkpoint).startswith(PUBLISHED_IN), path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    base = internimage.CONFIG_DIR / 'ade20k' / 'upernet_internimage_t_512_160k_ade20k.py'
    (tmp_path / 'small.py').write_text(CONFIG.format(base=base.as_posix()))
    return tmp_path / 'small.py'


def test_published_checkpoint_through_init_model(config: Path) -> None:
    """The authors' files are of mmseg 0.x: the classes are in 'CLASSES', the weights in 'state_dict'."""
    register_all_modules()
    weights = MODELS.build(Config.fromfile(config).model).state_dict()
    meta = {'CLASSES': ('a',) * 150, 'mmseg_version': '0.27.0'}
    checkpoint = config.with_suffix('.pth')
    torch.save({'state_dict': weights, 'meta': meta}, checkpoint)
    model = init_model(str(config), str(checkpoint), device='cpu')
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert len(model.dataset_meta['classes']) == 150

    weights.pop('backbone.levels.2.blocks.1.dcn.dw_conv.1.1.bias')
    weights['backbone.levels.3.downsample.conv.weight'] = torch.ones(128, 64, 3, 3)
    torch.save({'state_dict': weights, 'meta': meta}, checkpoint)
    with pytest.raises(RuntimeError) as error:
        init_model(str(config), str(checkpoint), device='cpu')
    assert '1 missing in the file: backbone.levels.2.blocks.1.dcn.dw_conv.1.1.bias' in str(error.value)
    assert '1 unexpected in the model: backbone.levels.3.downsample.conv.weight' in str(error.value)
