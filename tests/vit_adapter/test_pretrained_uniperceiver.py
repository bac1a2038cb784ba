"""Uni-Perceiver's files as a start for training: its authors' names and ViT-Adapter's, extras, errors."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from support.backbones import small

TRUNK = ('visual_embed.', 'layers.')
# The authors' name of a tensor, and how the trunk's name differs from it.
AUTHORS = {
    'visual_embed.patch_embed.proj.': 'video_embed.embeddings.',
    'visual_embed.patch_embed.spatial_pos_embed.': 'video_embed.embeddings_st_pos.spatial_pos_embed.',
    'visual_embed.patch_embed.temporal_pos_embed.': 'video_embed.embeddings_st_pos.temporal_pos_embed.',
    'visual_embed.embeddings_norm.': 'video_embed.embeddings_norm.',
    '.in_proj.': '.in_proj_',
}


def trunk_of(backbone: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in backbone.state_dict().items() if name.startswith(TRUNK)}


def converted(**changes: object) -> dict[str, Tensor]:
    """Return the weights of a small trunk, under its own names."""
    torch.manual_seed(2)
    source = small('UniPerceiverAdapter', **changes)
    for parameter in source.parameters():
        nn.init.normal_(parameter)
    return trunk_of(source)


def authors(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under the authors' names, with some of what a trunk has no place for."""
    raw = {}
    for name, value in weights.items():
        for ours, theirs in AUTHORS.items():
            name = name.replace(ours, theirs)
        raw[f'fused_encoder.{name}' if name.startswith('layers.') else name] = value
    return raw | {
        'video_embed.embeddings_type.weight': torch.randn(1, 24),
        'token_embed.embeddings.weight': torch.randn(7, 24),
        'token_embed.embeddings_norm.weight': torch.randn(24),
        'loss_prepare.temperature': torch.ones(1),
    }


@pytest.mark.parametrize('names', ['authors', 'converted'])
def test_either_file(tmp_path: Path, names: str) -> None:
    weights = converted()
    torch.save({'model': authors(weights)} if names == 'authors' else weights, tmp_path / 'uni.pth')
    model = small('UniPerceiverAdapter', pretrained=str(tmp_path / 'uni.pth'))
    rest = {name: value.clone() for name, value in model.state_dict().items() if not name.startswith(TRUNK)}
    model.init_weights()
    loaded = trunk_of(model)
    assert len(loaded) == 6 + 4 * 14
    assert all(torch.equal(value, weights[name]) for name, value in loaded.items())
    assert all(torch.equal(model.state_dict()[name], value) for name, value in rest.items())


@pytest.mark.parametrize(
    ('lost', 'reason'),
    [
        ('fused_encoder.layers.2.self_attn.in_proj_bias', r'layers\.2\.self_attn\.in_proj\.bias is missing'),
        ('fused_encoder.layers.0.gamma_1', r'layers\.0\.gamma_1 is missing'),
        (
            'video_embed.embeddings_st_pos.spatial_pos_embed.weight',
            r'patch_embed\.spatial_pos_embed\.weight is missing',
        ),
    ],
)
def test_everything_that_the_trunk_needs_has_to_be_there(tmp_path: Path, lost: str, reason: str) -> None:
    weights = authors(converted())
    weights.pop(lost)
    torch.save({'model': weights}, tmp_path / 'uni.pth')
    with pytest.raises(RuntimeError, match=r'uni\.pth do not fit UniPerceiverAdapter: [\w.]*' + reason):
        small('UniPerceiverAdapter', pretrained=str(tmp_path / 'uni.pth')).init_weights()


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'depth': 5}, r'layers\.4\.gamma_1 is not in the model'),
        ({'img_size': 96}, r'spatial_pos_embed\.weight is \[36, 24\], the model has \[16, 24\].*img_size'),
    ],
)
def test_weights_of_another_size(tmp_path: Path, changes: dict[str, int], reason: str) -> None:
    torch.save(converted(**changes), tmp_path / 'uni.pth')
    model = small('UniPerceiverAdapter', pretrained=str(tmp_path / 'uni.pth'))
    before = trunk_of(model)
    with pytest.raises(RuntimeError, match=reason):
        model.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in trunk_of(model).items()), 'nothing was copied'


def test_missing_file_says_where_it_is_published(tmp_path: Path) -> None:
    name = 'uni-perceiver-large-L24-H1024-224size-pretrained_converted.pth'
    with pytest.raises(FileNotFoundError, match=rf'download https://github\.com/czczup/ViT-Adapter/\S+/{name}'):
        small('UniPerceiverAdapter', pretrained=str(tmp_path / name)).init_weights()
