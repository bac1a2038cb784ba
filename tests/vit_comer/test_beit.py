"""ViT-CoMer over BEiT, whose code was never published: it is compared with the halves that it is put together from."""

from pathlib import Path

from vit_comer import ViTCoMer, ViTCoMerBEiT

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.model import revert_sync_batchnorm
from timm.models.beit import Beit
from torch import nn

from shared_ops.openmmlab.beit_pretrained import resize_table
from support import backbone_checks

SIZES = {'img_size': 64, 'embed_dim': 24, 'depth': 5, 'num_heads': 3}
PYRAMID = {
    'deform_num_heads': 2, 'conv_inplane': 4, 'dim_ratio': 1.5, 'interaction_indexes': [[0, 0], [1, 2], [3, 3], [4, 4]],
}  # fmt: skip
SMALL = {**SIZES, **PYRAMID, 'qkv_bias': True, 'init_values': 0.1}
TRUNK = ('cls_token', 'patch_embed.', 'blocks.')
STARTS_AT_ZERO = (
    'gamma', 'gamma_1', 'gamma_2', 'pos_embed', 'q_bias', 'v_bias', 'relative_position_bias_table',
    'sampling_offsets.weight', 'attention_weights.weight',
)  # fmt: skip


def small(**changes: object) -> nn.Module:
    """Return a small backbone in evaluation mode, all of whose parameters matter."""
    torch.manual_seed(1)
    backbone = ViTCoMerBEiT(**{**SMALL, **changes})
    for name, parameter in backbone.named_parameters():
        if name.endswith(STARTS_AT_ZERO):
            nn.init.normal_(parameter, std=0.2)
    return revert_sync_batchnorm(backbone).eval()


def beit(**changes: object) -> Beit:
    """Return timm's BEiT of the same size, with other values in all of its parameters."""
    torch.manual_seed(2)
    options = {'qkv_bias': True, 'init_values': 0.1, 'use_abs_pos_emb': False, 'use_rel_pos_bias': True}
    model = Beit(**{**SIZES, **options, **changes}, num_classes=7)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model.eval()


def watch(module: nn.Module, seen: dict[str, tuple], name: str) -> None:
    """Write into ``seen`` what goes into a module and what comes out of it."""
    module.register_forward_hook(lambda _, inputs, output: seen.__setitem__(name, (inputs, output)))


BACKBONE = small()


class TestAsEveryBackbone:
    @settings(max_examples=20)
    @given(height=st.integers(1, 100), width=st.integers(1, 100))
    def test_every_size_works(self, height: int, width: int) -> None:
        backbone_checks.check_size(BACKBONE, height, width, channels=[24] * 4)

    def test_other_sizes_are_those_of_the_padded_image(self) -> None:
        backbone_checks.check_padding(BACKBONE)

    def test_batches(self) -> None:
        backbone_checks.check_batches(BACKBONE)

    def test_recomputed_activations_give_the_same_step(self) -> None:
        backbone_checks.check_recomputing(lambda with_cp: small(with_cp=with_cp).double())

    def test_autocast(self) -> None:
        backbone_checks.check_autocast(BACKBONE)

    @pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
    def test_half_precision_weights(self, dtype: torch.dtype) -> None:
        backbone_checks.check_half_precision(BACKBONE, dtype)

    def test_copies_and_export(self) -> None:
        backbone_checks.check_copies(BACKBONE)

    @torch.no_grad()
    def test_single_precision_is_near_double(self) -> None:
        image = torch.randn(2, 3, 64, 96)
        for feature, exact in zip(BACKBONE(image), small().double()(image.double()), strict=True):
            assert (feature - exact).abs().max() < 1e-4 * exact.abs().max()

    def test_every_parameter_has_a_gradient(self) -> None:
        backbone = small(use_abs_pos_emb=True, use_shared_rel_pos_bias=True).double().train()
        sum(feature.square().mean() for feature in backbone(torch.randn(2, 3, 64, 64).double())).backward()
        assert not [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]


class TestTrunk:
    """What is BEiT's, against timm's BEiT."""

    @torch.no_grad()
    def test_without_influence_of_the_features_it_is_beit(self) -> None:
        reference, backbone = beit().double(), small().double()
        trunk = {name: value for name, value in reference.state_dict().items() if name.startswith(TRUNK)}
        missing, unexpected = backbone.load_state_dict(trunk, strict=False)
        assert not unexpected and not [name for name in missing if name.startswith(TRUNK)]
        seen: dict[str, tuple] = {}
        for interaction in backbone.interactions:
            interaction.cti_tov.gamma.zero_()
        for index, block in enumerate(backbone.blocks):
            watch(block, seen, f'ours {index}')
        for index, block in enumerate(reference.blocks):
            watch(block, seen, f'theirs {index}')
        image = torch.randn(2, 3, 64, 64, dtype=torch.float64)
        backbone(image)
        reference.forward_features(image)
        for index in range(5):
            torch.testing.assert_close(seen[f'ours {index}'][1], seen[f'theirs {index}'][1], rtol=1e-10, atol=1e-12)

        backbone.interactions[2].cti_tov.gamma.fill_(0.1)
        before = seen['theirs 3'][1]
        backbone(image)
        assert not torch.allclose(seen['ours 3'][1], before)

    @torch.no_grad()
    def test_the_class_token_goes_through_the_blocks_alone(self) -> None:
        backbone = small()
        seen: dict[str, tuple] = {}
        for index, block in enumerate(backbone.blocks):
            watch(block, seen, f'block {index}')
        for index, interaction in enumerate(backbone.interactions):
            watch(interaction.cti_tov, seen, f'to trunk {index}')
            watch(interaction.cti_toc, seen, f'to features {index}')
        for index, extra in enumerate(backbone.interactions[-1].extra_CTIs):
            watch(extra, seen, f'extra {index}')
        backbone(torch.randn(2, 3, 64, 64))

        assert torch.equal(seen['block 0'][0][0][:, :1], backbone.cls_token.expand(2, -1, -1))
        for index, (first, last) in enumerate(PYRAMID['interaction_indexes']):
            entering, leaving = seen[f'block {first}'][0][0], seen[f'block {last}'][1]
            assert entering.shape == (2, 1 + 4 * 4, 24)
            assert torch.equal(entering[:, 1:], seen[f'to trunk {index}'][1])
            assert torch.equal(seen[f'to features {index}'][0][1], leaving[:, 1:])
            if first:
                assert torch.equal(entering[:, :1], seen[f'block {first - 1}'][1][:, :1])
        for index in range(4):
            assert torch.equal(seen[f'extra {index}'][0][1], seen['block 4'][1][:, 1:])


class TestInteractions:
    """What is ViT-CoMer's, against ViTCoMer, which is compared with its original."""

    @pytest.mark.parametrize('size', [(64, 64), (50, 90)], ids=str)
    @torch.no_grad()
    def test_over_a_trunk_without_effect_it_is_vit_comer(self, size: tuple[int, int]) -> None:
        ours = small()
        theirs = revert_sync_batchnorm(ViTCoMer(**SIZES, **PYRAMID, pretrain_size=64)).eval()
        beside = {name: value for name, value in ours.state_dict().items() if not name.startswith(('cls_', 'blocks.'))}
        missing, unexpected = theirs.load_state_dict(beside, strict=False)
        assert not unexpected and all(name.startswith(('pos_embed', 'blocks.')) for name in missing)
        for name, parameter in [*ours.named_parameters(), *theirs.named_parameters()]:
            if name.startswith('blocks.') and 'gamma' in name:
                parameter.zero_()
        image = torch.randn(2, 3, *size)
        assert not theirs.pos_embed.any()
        assert all(map(torch.equal, ours(image), theirs(image)))

    def test_names_and_shapes_are_vit_comers(self) -> None:
        def beside(backbone: nn.Module) -> dict[str, torch.Size]:
            trunk = ('cls_', 'pos_', 'patch_', 'blocks.')
            return {name: value.shape for name, value in backbone.state_dict().items() if not name.startswith(trunk)}

        assert beside(BACKBONE) == beside(ViTCoMer(**SIZES, **PYRAMID))

    def test_options(self) -> None:
        assert [len(interaction.extra_CTIs) for interaction in BACKBONE.interactions] == [0, 0, 0, 4]
        assert not [name for name in small(use_extra_CTI=False).state_dict() if 'extra_CTIs' in name]
        backbone = small(
            use_CTI_toV=[True, False, True, True], use_CTI_toC=[True, True, False, True], with_cffn=False,
            cnn_feature_interaction=[True, True, True, False],
        )  # fmt: skip
        first, second, third, last = backbone.interactions
        assert second.cti_tov is None and third.cti_toc is None
        assert hasattr(first.cti_toc, 'cfinter') and not hasattr(last.cti_toc, 'cfinter')
        assert not [name for name in backbone.state_dict() if 'cti_toc' in name and 'ffn' in name]

    def test_stochastic_depth_grows_over_the_trunk_and_is_full_in_the_interactions(self) -> None:
        backbone = small(drop_path_rate=0.4)
        rates = [getattr(block.drop_path, 'drop_prob', 0.0) for block in backbone.blocks]
        assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
        branches = [m.drop_prob for m in backbone.interactions.modules() if hasattr(m, 'drop_prob')]
        assert branches == [0.4] * (4 + 4 + 2 * 4)


class TestInitialWeights:
    def test_scales_start_from_init_values_and_tables_from_zero(self) -> None:
        backbone = ViTCoMerBEiT(**{**SMALL, 'init_values': 1e-6})
        scales = [parameter for name, parameter in backbone.named_parameters() if 'gamma' in name]
        assert len(scales) == 2 * 5 + 4 and all((scale == 1e-6).all() for scale in scales)
        assert not any(parameter.any() for name, parameter in backbone.named_parameters() if 'bias_table' in name)
        assert backbone.cls_token.any()

    @pytest.mark.parametrize('img_size', [64, 96])
    def test_a_file_of_beit_fills_the_trunk_and_nothing_else(self, tmp_path: Path, img_size: int) -> None:
        weights = beit().state_dict()
        torch.save({'model': weights}, tmp_path / 'beit.pth')
        backbone = small(img_size=img_size, pretrained=str(tmp_path / 'beit.pth'))
        before = {name: value.clone() for name, value in backbone.state_dict().items()}
        backbone.init_weights()
        copied = 0
        for name, value in backbone.state_dict().items():
            if name.startswith(TRUNK) and not name.endswith('relative_position_index'):
                wanted = weights[name]
                grid = img_size // 16
                assert torch.equal(value, resize_table(wanted, (grid, grid)) if name.endswith('table') else wanted)
                copied += 1
            else:
                assert torch.equal(value, before[name]), name
        assert copied == 1 + 2 + 5 * 16

    def test_another_file_is_refused(self, tmp_path: Path) -> None:
        torch.save({'model': beit(depth=6).state_dict()}, tmp_path / 'beit.pth')
        with pytest.raises(RuntimeError, match=r'do not fit ViTCoMerBEiT.*blocks\.5\.\S+ is not in the model'):
            small(pretrained=str(tmp_path / 'beit.pth')).init_weights()

    def test_a_missing_file_is_missed_when_weights_are_initialized(self, tmp_path: Path) -> None:
        backbone = small(pretrained=str(tmp_path / 'beitv2_large_patch16_224_pt1k_ft21k.pth'))
        with pytest.raises(FileNotFoundError, match=r'download \S+/BEiT-v2/beitv2_large'):
            backbone.init_weights()


def test_layers() -> None:
    names = [
        'cls_token',
        'patch_embed.proj.bias',
        'blocks.2.attn.q_bias',
        'level_embed',
        'interactions.0.mrfp.fc1.bias',
    ]
    assert [BACKBONE.get_layer_id(name) for name in names] == [0, 0, 3, 6, 6]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'patch_size': 8}, r'patch_size=8, in_chans=3: .* fit patch_size=16 and in_chans=3 only'),
        ({'num_heads': 5}, r'num_heads=5 must divide the embedding dimension, which is 24'),
        ({'interaction_indexes': [[0, 1], [2, 4]]}, r'needs 4 interactions, .* has 2; set add_vit_feature=False'),
        ({'use_CTI_toV': [True] * 3}, r'use_CTI_toV has 3 entries, but interaction_indexes has 4'),
        ({'img_size': (64, 15)}, r'img_size=\(64, 15\) has no room for a patch of patch_size=16 pixels'),
    ],
)
def test_arguments(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ViTCoMerBEiT(**{**SMALL, **changes})
