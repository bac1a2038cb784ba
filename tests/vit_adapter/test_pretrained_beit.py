"""BEiT's and BEiTv2's files as a start for training: names, shared tables, tables of another size, errors."""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from timm.models.beit import Beit
from torch import Tensor, nn

from shared_ops.openmmlab.beit_pretrained import SHARED_TABLE, TABLE, beit_weights, resize_table
from support.backbones import small
from support.synthetic import compare, synthetic_tensor

FOLDER = Path(__file__).parent / 'reference' / 'forward'
ONE_INTERACTION = {'interaction_indexes': [[0, 2]], 'add_vit_feature': False}
TRUNK = ('cls_token', 'pos_embed', 'patch_embed.', 'blocks.')


def trunk_of(backbone: nn.Module) -> dict[str, Tensor]:
    return {
        name: value.detach().clone()
        for name, value in backbone.state_dict().items()
        if name.startswith(TRUNK) and not name.endswith('relative_position_index')
    }


def published(**changes: object) -> dict[str, Tensor]:
    """Return the weights of a small classifier, with all that a trunk has no place for."""
    torch.manual_seed(2)
    source = small('BEiTAdapter', **changes)
    for parameter in source.parameters():
        nn.init.normal_(parameter)
    weights = trunk_of(source)
    tokens = 1 + 4 * 4
    return weights | {
        'mask_token': torch.randn(1, 1, 24),
        'norm.weight': torch.randn(24),
        'fc_norm.bias': torch.randn(24),
        'head.weight': torch.randn(11, 24),
        'blocks.0.attn.relative_position_index': torch.zeros(tokens, tokens, dtype=torch.int64),
    }


def save(weights: dict[str, Tensor], path: Path, wrapper: str | None = 'model', prefix: str = '') -> str:
    weights = {prefix + name: value for name, value in weights.items()}
    torch.save(weights if wrapper is None else {wrapper: weights, 'epoch': 3}, path / 'beit.pth')
    return str(path / 'beit.pth')


@pytest.mark.parametrize('name', ['BEiTAdapter', 'BEiTBaseline'])
@pytest.mark.parametrize(
    ('wrapper', 'prefix'), [(None, ''), ('model', ''), ('module', 'module.'), ('state_dict', 'encoder.')]
)
def test_a_file_of_the_same_size(tmp_path: Path, name: str, wrapper: str | None, prefix: str) -> None:
    weights = published()
    others = {'encoder_k.cls_token': torch.zeros(1, 1, 24)} if prefix == 'encoder.' else {}  # MoBY's other network
    named = {prefix + key: value for key, value in weights.items()} | others
    model = small(name, pretrained=save(named, tmp_path, wrapper))
    rest = {key: value.clone() for key, value in model.state_dict().items() if not key.startswith(TRUNK)}
    model.init_weights()
    loaded = trunk_of(model)
    assert len(loaded) == 1 + 2 + 4 * 16
    assert all(torch.equal(value, weights[key]) for key, value in loaded.items())
    assert all(torch.equal(model.state_dict()[key], value) for key, value in rest.items())


def test_names_are_timms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = Beit(
        img_size=64, embed_dim=24, depth=4, num_heads=3, qkv_bias=True, init_values=0.1, use_abs_pos_emb=False,
        use_rel_pos_bias=True, num_classes=0,
    )  # fmt: skip
    for parameter in offered.parameters():
        nn.init.normal_(parameter)
    monkeypatch.setattr(timm, 'create_model', lambda *_, **__: offered)
    model = small('BEiTAdapter', pretrained='timm://beit_large_patch16_224')
    model.init_weights()
    weights = offered.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in trunk_of(model).items())


class TestTables:
    @pytest.mark.parametrize('case', json.loads((FOLDER / 'checkpoint_relpos.json').read_text())['cases'])
    def test_resized_as_the_original_did(self, case: dict) -> None:
        weights = {key: torch.from_numpy(synthetic_tensor(key, shape)) for key, shape in case['checkpoint_keys']}
        grid, heads = case['target_grid'], case['num_heads']
        trunk = {
            f'blocks.{index}.attn.{TABLE}': torch.empty((2 * grid - 1) ** 2 + 3, heads)
            for index in range(case['depth'])
        }
        fitted = beit_weights(weights, trunk, (grid, grid))
        samples = np.load(FOLDER / 'checkpoint_relpos.npz')
        for name, entry in case['outputs'].items():
            table = fitted[name.partition('/')[2]]
            assert table.dtype == torch.float32
            assert compare(name, table.numpy(), entry | {'samples': samples[name]}) < 1e-6

    @pytest.mark.parametrize('window', [(3, 3), (6, 6), (5, 7)], ids=str)
    def test_class_rows_are_kept_and_constants_stay(self, window: tuple[int, int]) -> None:
        table = torch.cat((torch.full((49, 2), 0.3), torch.randn(3, 2)))
        resized = resize_table(table, window)
        assert resized.shape == ((2 * window[0] - 1) * (2 * window[1] - 1) + 3, 2)
        assert torch.equal(resized[-3:], table[-3:])
        torch.testing.assert_close(resized[:-3], torch.full_like(resized[:-3], 0.3))

    def test_near_offsets_keep_their_places(self) -> None:
        """The geometric grid is dense in the middle, where it has the old table's steps."""
        table = torch.randn(13 * 13 + 3, 2)
        old = table[:-3].reshape(13, 13, 2)
        new = resize_table(table, (9, 11))[:-3].reshape(17, 21, 2)
        torch.testing.assert_close(new[7:10, 9:12], old[5:8, 5:8], rtol=1e-4, atol=1e-4)

    def test_rows_and_columns_are_told_apart(self) -> None:
        along_rows = torch.arange(7.0)[:, None].expand(7, 7).reshape(49, 1)
        resized = resize_table(torch.cat((along_rows, torch.zeros(3, 1))), (5, 6))[:-3].reshape(9, 11)
        assert (resized.diff(dim=0) > 0).all()
        torch.testing.assert_close(resized, resized[:, :1].expand(9, 11))

    def test_a_table_that_fits_is_left_alone(self) -> None:
        table = torch.randn(49 + 3, 2, dtype=torch.float16)
        assert resize_table(table, (4, 4)) is table
        assert resize_table(torch.randn(50 + 3, 2), (4, 4)).shape == (53, 2), 'no square; the shape will be refused'

    def test_resized_through_a_backbone(self, tmp_path: Path) -> None:
        weights = published()
        model = small('BEiTAdapter', img_size=(96, 128), pretrained=save(weights, tmp_path))
        model.init_weights()
        for name, value in trunk_of(model).items():
            expected = resize_table(weights[name], (6, 8)) if name.endswith(TABLE) else weights[name]
            assert torch.equal(value, expected), name

    def test_a_shared_table_goes_to_every_block(self, tmp_path: Path) -> None:
        weights = published(use_rel_pos_bias=False)
        weights[SHARED_TABLE] = torch.randn(7 * 7 + 3, 3)
        weights['rel_pos_bias.relative_position_index'] = torch.zeros(17, 17, dtype=torch.int64)
        file = save(weights, tmp_path)
        model = small('BEiTAdapter', pretrained=file)
        model.init_weights()
        for block in model.blocks:
            assert torch.equal(block.attn.relative_position_bias_table, weights[SHARED_TABLE])

        both = small('BEiTBaseline', use_shared_rel_pos_bias=True, pretrained=file)
        both.init_weights()
        assert torch.equal(both.blocks[3].attn.relative_position_bias_table, weights[SHARED_TABLE])
        assert not both.rel_pos_bias.relative_position_bias_table.any(), 'counted once'

        shared = small('BEiTBaseline', use_rel_pos_bias=False, use_shared_rel_pos_bias=True, pretrained=file)
        shared.init_weights()
        assert torch.equal(shared.rel_pos_bias.relative_position_bias_table, weights[SHARED_TABLE])


def test_position_embedding_of_another_size(tmp_path: Path) -> None:
    weights = published(use_abs_pos_emb=True)
    model = small('BEiTAdapter', use_abs_pos_emb=True, img_size=96, pretrained=save(weights, tmp_path))
    model.init_weights()
    assert torch.equal(model.pos_embed[:, 0], weights['pos_embed'][:, 0])
    patches = weights['pos_embed'][:, 1:].reshape(1, 4, 4, 24).permute(0, 3, 1, 2)
    expected = nn.functional.interpolate(patches, size=(6, 6), mode='bicubic', align_corners=False)
    torch.testing.assert_close(model.pos_embed[:, 1:], expected.flatten(2).transpose(1, 2))


def test_a_classifier_without_layer_scale_has_scales_of_one(tmp_path: Path) -> None:
    weights = {name: value for name, value in published().items() if 'gamma' not in name}
    model = small('BEiTAdapter', pretrained=save(weights, tmp_path))
    model.init_weights()
    scales = [scale for block in model.blocks for scale in (block.gamma_1, block.gamma_2)]
    assert all((scale == 1).all() for scale in scales)


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'depth': 5}, r'blocks\.4\.gamma_1 is not in the model'),
        ({'depth': 3, **ONE_INTERACTION}, r'blocks\.3\.norm1\.weight is missing'),
        ({'embed_dim': 36}, r'cls_token is \[1, 1, 36\], the model has \[1, 1, 24\]'),
        ({'num_heads': 6}, r'relative_position_bias_table is \[52, 6\], the model has \[52, 3\].*num_heads'),
        ({'use_abs_pos_emb': True}, r'pos_embed is not in the model.*use_abs_pos_emb'),
        ({'use_rel_pos_bias': False}, r'relative_position_bias_table is missing.*use_rel_pos_bias'),
        ({'qkv_bias': False}, r'blocks\.0\.attn\.q_bias is missing.*qkv_bias'),
    ],
)  # fmt: skip
def test_weights_of_another_kind(tmp_path: Path, changes: dict, reason: str) -> None:
    model = small('BEiTAdapter', pretrained=save(published(**changes), tmp_path))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(RuntimeError, match=r'beit\.pth do not fit BEiTAdapter.*' + reason):
        model.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), 'nothing was copied'


def test_layer_scale_that_the_model_lacks(tmp_path: Path) -> None:
    model = small('BEiTBaseline', init_values=None, pretrained=save(published(), tmp_path))
    with pytest.raises(RuntimeError, match=r'gamma_1 is not in the model.*init_values'):
        model.init_weights()


def test_missing_files_say_where_they_are_published(tmp_path: Path) -> None:
    for file, address in [
        ('beit_large_patch16_224_pt22k_ft22k.pth', r'addf400/files/releases/download/v1\.0/beit_large'),
        ('beitv2_large_patch16_224_pt1k_ft21k.pth', r'addf400/files/releases/download/BEiT-v2/beitv2_large'),
    ]:
        with pytest.raises(FileNotFoundError, match=address):
            small('BEiTAdapter', pretrained=str(tmp_path / file)).init_weights()
