"""The backbone by itself: sizes, options, precision, errors. No registry, no config."""

import copy

from internimage import InternImage

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.layers import DropPath
from torch import Tensor, nn

from support import backbone_checks

SIZES = {'channels': 8, 'depths': (1, 2, 3, 2), 'groups': (2, 4, 8, 16), 'drop_path_rate': 0.0}
LARGE = {
    'dw_kernel_size': 5,
    'level2_post_norm': True,
    'level2_post_norm_block_ids': (1, 2),
    'center_feature_scale': True,
}
# what the published sizes differ in beside their numbers of channels and blocks
KINDS = {
    'T': {'layer_scale': 1.0},
    'S': {'layer_scale': 1.0, 'post_norm': True},
    'L': {'layer_scale': 1.0, 'post_norm': True, 'offset_scale': 2.0},
    'H': {**LARGE, 'res_post_norm': True},
    'G': {**LARGE, 'post_norm': True},
}
CHANNELS = (8, 16, 32, 64)


def small(kind: str = 'T', **changes: object) -> InternImage:
    """Return a small backbone in evaluation mode, all of whose parameters matter."""
    torch.manual_seed(1)
    backbone = InternImage(**{**SIZES, **KINDS[kind], **changes})
    for name, parameter in backbone.named_parameters():
        if parameter.dim() == 1 or '.offset.' in name or '.mask.' in name or 'center_feature' in name:
            nn.init.normal_(parameter, mean=float(name.endswith(('gamma1', 'gamma2', 'norm.weight'))), std=0.2)
    return backbone.eval()


BACKBONES = {kind: small(kind) for kind in KINDS}
every_kind = pytest.mark.parametrize('kind', KINDS)


class TestAsEveryBackbone:
    @pytest.mark.parametrize('kind', ['T', 'H'])
    @settings(max_examples=25)
    @given(height=st.integers(1, 100), width=st.integers(1, 100))
    def test_every_size_works(self, kind: str, height: int, width: int) -> None:
        backbone_checks.check_size(BACKBONES[kind], height, width, CHANNELS)

    @every_kind
    def test_batches(self, kind: str) -> None:
        backbone_checks.check_batches(BACKBONES[kind])

    @every_kind
    def test_recomputed_activations_give_the_same_step(self, kind: str) -> None:
        backbone_checks.check_recomputing(lambda with_cp: small(kind, with_cp=with_cp).double())

    @every_kind
    def test_autocast(self, kind: str) -> None:
        backbone_checks.check_autocast(BACKBONES[kind])

    @every_kind
    @pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
    def test_half_precision_weights(self, kind: str, dtype: torch.dtype) -> None:
        backbone_checks.check_half_precision(BACKBONES[kind], dtype)

    @every_kind
    def test_copies_and_export(self, kind: str) -> None:
        backbone_checks.check_copies(BACKBONES[kind])


def layer_norm(x: Tensor, norm: nn.Sequential) -> Tensor:
    """Normalize the channels of every position, written out."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt() * norm[0].weight + norm[0].bias


class TestBlocks:
    @torch.no_grad()
    @every_kind
    def test_order_of_norms_scales_and_sums(self, kind: str) -> None:
        block = small(kind).double().levels[1].blocks[1]
        x = torch.randn(2, 5, 7, 16, dtype=torch.float64)

        def branch(x: Tensor, layer: nn.Module, number: int) -> Tensor:
            norm = getattr(block, f'norm{number}')
            if kind == 'T':
                return getattr(block, f'gamma{number}') * layer(layer_norm(x, norm))
            if kind in ('S', 'L'):
                return getattr(block, f'gamma{number}') * layer_norm(layer(x), norm)
            if kind == 'H':
                return layer_norm(layer(layer_norm(x, norm)), getattr(block, f'res_post_norm{number}'))
            return layer_norm(layer(x), norm)

        halfway = x + branch(x, block.dcn, 1)
        torch.testing.assert_close(block(x), halfway + branch(halfway, block.mlp, 2), rtol=1e-12, atol=1e-12)

    @torch.no_grad()
    def test_without_scales_and_further_norms_a_block_is_a_plain_pre_norm_one(self) -> None:
        block = small(layer_scale=None).double().levels[0].blocks[0]
        x = torch.randn(1, 6, 5, 8, dtype=torch.float64)
        halfway = x + block.dcn(layer_norm(x, block.norm1))
        expected = halfway + block.mlp(layer_norm(halfway, block.norm2))
        torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)

    @torch.no_grad()
    @every_kind
    def test_a_stage_is_its_blocks_and_norms(self, kind: str) -> None:
        stage = small(kind).double().levels[2]
        x = torch.randn(1, 4, 6, 32, dtype=torch.float64)
        feature, smaller = stage(x)
        for index, block in enumerate(stage.blocks):
            x = block(x)
            if kind in ('H', 'G') and index in (1, 2):
                x = layer_norm(x, stage.post_norms[index - 1])
        if kind in ('T', 'H', 'G'):
            x = layer_norm(x, stage.norm)
        torch.testing.assert_close(feature, x, rtol=1e-12, atol=1e-12)
        # the next stage starts from what is returned
        torch.testing.assert_close(smaller, stage.downsample(x), rtol=1e-12, atol=1e-12)

    def test_which_stages_end_with_a_norm(self) -> None:
        ends = {kind: {hasattr(level, 'norm') for level in BACKBONES[kind].levels} for kind in KINDS}
        assert ends == {'T': {True}, 'S': {False}, 'L': {False}, 'H': {True}, 'G': {True}}
        assert [len(level.post_norms) for level in BACKBONES['H'].levels] == [0, 0, 2, 0]

    def test_arguments_reach_the_convolutions(self) -> None:
        convolutions = [block.dcn for level in BACKBONES['H'].levels for block in level.blocks]
        assert {(dcn.dw_kernel_size, dcn.center_feature_scale, dcn.offset_scale) for dcn in convolutions} == {
            (5, True, 1.0)
        }
        assert [level.blocks[0].dcn.group for level in BACKBONES['H'].levels] == [2, 4, 8, 16]
        convolutions = [block.dcn for level in BACKBONES['L'].levels for block in level.blocks]
        assert {(dcn.dw_kernel_size, dcn.center_feature_scale, dcn.offset_scale) for dcn in convolutions} == {
            (3, False, 2.0)
        }


class TestOptions:
    def test_stochastic_depth_grows_over_all_blocks_or_is_uniform(self) -> None:
        def rates(**changes: object) -> list[float]:
            blocks = [block for level in small(**changes).levels for block in level.blocks]
            return [getattr(block.drop_path, 'drop_prob', 0.0) for block in blocks]

        assert rates(drop_path_rate=0.7) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
        assert rates(drop_path_rate=0.3, drop_path_type='uniform') == [0.3] * 8
        assert not [module for module in small(drop_path_rate=0.0).modules() if isinstance(module, DropPath)]

    def test_dropout_after_the_stem_and_in_the_mlps(self) -> None:
        backbone = small(drop_rate=0.25)
        assert {module.p for module in backbone.modules() if isinstance(module, nn.Dropout)} == {0.25}
        assert len([module for module in backbone.modules() if isinstance(module, nn.Dropout)]) == 1 + 8

    @torch.no_grad()
    def test_batch_norm_stands_where_the_original_has_it(self) -> None:
        backbone = small(norm_layer='BN')
        names = {name.rsplit('.', 1)[0] for name, _ in backbone.named_buffers() if name.endswith('running_mean')}
        assert {name for name in names if not name.startswith('levels')} == {
            'patch_embed.norm1.0',
            'patch_embed.norm2.0',
        }
        assert {name for name in names if name.startswith('levels.1')} == {
            'levels.1.blocks.0.dcn.dw_conv.1.0', 'levels.1.blocks.1.dcn.dw_conv.1.0', 'levels.1.downsample.norm.0',
        }  # fmt: skip
        assert isinstance(backbone.levels[0].blocks[0].norm1[0], nn.LayerNorm)
        backbone_checks.check_size(backbone, 45, 70, CHANNELS)

    @torch.no_grad()
    def test_activations(self) -> None:
        image = torch.randn(1, 3, 40, 50)
        results = [small(act_layer=name)(image)[1] for name in ('GELU', 'ReLU', 'SiLU')]
        assert not torch.allclose(results[0], results[1]) and not torch.allclose(results[0], results[2])
        assert isinstance(small(act_layer='ReLU').patch_embed.act, nn.ReLU)

    @torch.no_grad()
    def test_some_stages_only(self) -> None:
        image = torch.randn(1, 3, 40, 50)
        expected = BACKBONES['T'](image)
        first, last = small(out_indices=(0, 3))(image)
        assert torch.equal(first, expected[0]) and torch.equal(last, expected[3])
        # two of four stages make a smaller pyramid
        backbone = InternImage(channels=8, depths=(1, 2), groups=(1, 2), out_indices=(0, 1))
        assert [feature.shape[1] for feature in backbone(image)] == [8, 16]

    def test_frozen_stages_neither_learn_nor_drop(self) -> None:
        backbone = small(frozen_stages=2, drop_path_rate=0.5, norm_layer='BN').train()
        learning = {
            name.split('.')[1] for name, p in backbone.named_parameters() if p.requires_grad and 'levels' in name
        }
        assert learning == {'2', '3'}
        assert all(parameter.requires_grad for parameter in backbone.patch_embed.parameters())
        assert [level.training for level in backbone.levels] == [False, False, True, True]
        assert not any(module.training for module in backbone.levels[1].modules())
        for stages in (-1, 0):
            assert all(parameter.requires_grad for parameter in small(frozen_stages=stages).parameters())

    def test_layers(self) -> None:
        layers = {
            'patch_embed.conv1.weight': 0,
            'levels.0.blocks.0.gamma1': 1,
            'levels.0.downsample.conv.weight': 2,
            'levels.0.norm.0.bias': 2,
            'levels.1.blocks.1.dcn.offset.bias': 3,
            'levels.1.norm.0.weight': 4,
            'levels.2.blocks.0.norm1.0.bias': 4,
            # counted from the start of the stage, whatever blocks they follow
            'levels.2.post_norms.0.0.weight': 4,
            'levels.2.post_norms.1.0.weight': 5,
            'levels.2.downsample.norm.1.bias': 7,
            'levels.3.blocks.1.mlp.fc2.weight': 8,
            'levels.3.norm.0.weight': 7,
        }
        assert {name: BACKBONES['H'].get_layer_id(name) for name in layers} == layers


class TestInitialWeights:
    def test_convolutions_start_undeformed(self) -> None:
        backbone = InternImage(**SIZES, **KINDS['H'])
        names = ('offset.weight', 'offset.bias', 'mask.weight', 'mask.bias', 'scale_proj_weight', 'scale_proj_bias')
        start = [parameter for name, parameter in backbone.named_parameters() if name.endswith(names)]
        assert len(start) == 6 * 8 and not any(parameter.any() for parameter in start)

    def test_linear_layers_and_scales(self) -> None:
        backbone = InternImage(**{**SIZES, 'layer_scale': 0.5})
        block = backbone.levels[3].blocks[0]
        assert block.mlp.fc1.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not block.mlp.fc1.bias.any()
        assert (block.gamma1 == 0.5).all() and (block.gamma2 == 0.5).all()

    def test_init_weights_without_a_file_keeps_them(self) -> None:
        backbone = small()
        before = copy.deepcopy(backbone.state_dict())
        backbone.init_weights()
        assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


class TestErrors:
    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            ({'core_op': 'DCNv3_pytorch'}, "core_op must be one of DCNv3, not 'DCNv3_pytorch'"),
            ({'act_layer': 'Tanh'}, "act_layer must be one of GELU, ReLU, SiLU, not 'Tanh'"),
            ({'norm_layer': 'GN'}, "norm_layer must be one of LN, BN, not 'GN'"),
            ({'drop_path_type': 'cosine'}, "drop_path_type must be one of linear, uniform, not 'cosine'"),
            ({'groups': (2, 4, 8)}, 'groups has 3 entries and depths has 4'),
            ({'groups': (3, 4, 8, 16)}, 'group'),
            ({'channels': 9}, 'channels must be even, .*, not 9'),
            ({'out_indices': (0, 4)}, r'out_indices=\(0, 4\) must be stages from 0 to 3'),
            ({'res_post_norm': True}, 'res_post_norm=True needs post_norm=False and layer_scale=None.* False and 1.0'),
            ({'level2_post_norm': True}, 'third stage, which has 3, but they are None'),
            ({'level2_post_norm': True, 'level2_post_norm_block_ids': (1, 3)}, r'which has 3, but they are \(1, 3\)'),
            ({'level2_post_norm': True, 'level2_post_norm_block_ids': (1, 1)}, 'different numbers of blocks'),
            ({'init_cfg': {'type': 'Normal'}}, r"init_cfg must be None or dict\(type='Pretrained', checkpoint=...\)"),
            ({'dw_kernel_size': 4}, 'dw_kernel_size'),
        ],
    )
    def test_arguments(self, changes: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            small(**changes)

    @pytest.mark.parametrize(
        ('image', 'message'),
        [
            (torch.zeros(3, 32, 64), r'image\[None\]'),
            (torch.zeros(1, 4, 32, 64), 'has 4 channels'),
            (torch.zeros(1, 3, 32, 64, dtype=torch.uint8), 'floating point'),
            (torch.zeros(1, 3, 32, 0), 'has no pixels'),
        ],
    )
    def test_images(self, image: Tensor, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            BACKBONES['T'](image)
