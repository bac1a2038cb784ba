"""Weights of others: DeiT's as a start for training, published checkpoints of whole models."""

from pathlib import Path

import vit_comer
from vit_comer import ViTCoMer

import pytest
import torch
from mmengine.config import Config
from mmseg.apis import init_model
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from shared_ops.openmmlab.zoo.starts import PUBLISHED_IN

SIZES = {'img_size': 64, 'patch_size': 16, 'embed_dim': 24, 'depth': 4, 'num_heads': 2}
OF_THE_TRUNK = ('patch_embed.', 'pos_embed', 'blocks.')
CONFIG = """
_base_ = {base!r}
model = dict(
    backbone=dict(
        embed_dim=24, depth=4, num_heads=2, deform_num_heads=3, conv_inplane=4, dim_ratio=1.0, img_size=64,
        pretrain_size=64, interaction_indexes=[[0, 0], [1, 1], [2, 2], [3, 3]]),
    decode_head=dict(in_channels=[24] * 4, channels=8),
    auxiliary_head=dict(in_channels=24, channels=4))
"""


def deit(**changes: int) -> dict[str, Tensor]:
    """Return the weights of a classifier, none of which are 0 or 1."""
    torch.manual_seed(2)
    model = VisionTransformer(**{**SIZES, 'num_classes': 11, **changes})
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model.state_dict()


def backbone(pretrained: Path) -> ViTCoMer:
    torch.manual_seed(1)
    interactions = [[0, 0], [1, 1], [2, 2], [3, 3]]
    return ViTCoMer(
        **SIZES, pretrain_size=64, deform_num_heads=3, conv_inplane=4, dim_ratio=1.0,
        interaction_indexes=interactions, pretrained=str(pretrained),
    )  # fmt: skip


def test_deit_fills_the_trunk_and_nothing_else(tmp_path: Path) -> None:
    weights = deit()
    torch.save({'model': weights}, tmp_path / 'deit.pth')
    model = backbone(tmp_path / 'deit.pth')
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.init_weights()
    copied = 0
    for name, value in model.state_dict().items():
        if name.startswith(OF_THE_TRUNK) and 'gamma' not in name:
            assert torch.equal(value, weights[name]), name
            copied += 1
        else:
            assert torch.equal(value, before[name]), name
    assert copied == 3 + 4 * 12


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    torch.save({'model': deit(depth=5)}, tmp_path / 'deit.pth')
    with pytest.raises(RuntimeError, match=r'do not fit ViTCoMer.*blocks\.4\.norm1\.weight is not in the model'):
        backbone(tmp_path / 'deit.pth').init_weights()


def test_missing_file_says_where_it_is_published(tmp_path: Path) -> None:
    model = backbone(tmp_path / 'deit_small_patch16_224-cd65a155.pth')  # building it reads nothing
    with pytest.raises(FileNotFoundError, match=r'download https://dl\.fbaipublicfiles\.com/deit/deit_small'):
        model.init_weights()


def test_every_config_names_a_published_file() -> None:
    configs = sorted(vit_comer.CONFIG_DIR.glob('[!_]*/*.py'))
    assert configs
    for path in configs:
        assert Path(Config.fromfile(path).model.pretrained).name in PUBLISHED_IN, path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    base = vit_comer.CONFIG_DIR / 'ade20k' / 'upernet_vit_comer_tiny_512_160k_ade20k.py'
    (tmp_path / 'small.py').write_text(CONFIG.format(base=base.as_posix()))
    return tmp_path / 'small.py'


def test_published_checkpoint_through_init_model(config: Path) -> None:
    """The authors' files are of mmseg 0.x: the classes are in 'CLASSES', the weights in 'state_dict'."""
    register_all_modules()
    weights = MODELS.build(Config.fromfile(config).model).state_dict()
    meta = {'CLASSES': ('a',) * 150, 'mmseg_version': '0.20.2'}
    checkpoint = config.with_suffix('.pth')
    torch.save({'state_dict': weights, 'meta': meta}, checkpoint)
    model = init_model(str(config), str(checkpoint), device='cpu')
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert len(model.dataset_meta['classes']) == 150

    weights.pop('backbone.interactions.3.extra_CTIs.2.ffn.fc1.bias')
    weights['backbone.cls_token'] = torch.ones(1, 1, 24)
    torch.save({'state_dict': weights, 'meta': meta}, checkpoint)
    with pytest.raises(RuntimeError) as error:
        init_model(str(config), str(checkpoint), device='cpu')
    assert '1 missing in the file: backbone.interactions.3.extra_CTIs.2.ffn.fc1.bias' in str(error.value)
    assert '1 unexpected in the model: backbone.cls_token' in str(error.value)
