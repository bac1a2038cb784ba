"""The backbone by itself: sizes, options, precision, errors. No registry, no config."""

import copy

from vit_comer import ViTCoMer

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.model import revert_sync_batchnorm
from torch import nn

from shared_ops.vit import Attention, WindowedAttention
from support import backbone_checks

SMALL = {
    'embed_dim': 24,
    'depth': 4,
    'num_heads': 3,
    'deform_num_heads': 2,
    'conv_inplane': 4,
    'dim_ratio': 1.5,
    'img_size': 64,
    'pretrain_size': 64,
    'interaction_indexes': [[0, 0], [1, 1], [2, 2], [3, 3]],
}


def small(**changes: object) -> nn.Module:
    """Return a small backbone in evaluation mode, all of whose parameters matter."""
    torch.manual_seed(1)
    backbone = ViTCoMer(**{**SMALL, **changes})
    for name, parameter in backbone.named_parameters():
        if name.endswith(('gamma', 'pos_embed', 'sampling_offsets.weight', 'attention_weights.weight')):
            nn.init.normal_(parameter, std=0.2)
    return revert_sync_batchnorm(backbone).eval()


BACKBONE = small()


class TestAsEveryBackbone:
    @settings(max_examples=25)
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


class TestOptions:
    def test_stochastic_depth_grows_over_the_trunk_and_is_full_in_the_interactions(self) -> None:
        backbone = small(drop_path_rate=0.3)
        rates = [getattr(block.drop_path, 'drop_prob', 0.0) for block in backbone.blocks]
        assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])
        branches = {name: m.drop_prob for name, m in backbone.interactions.named_modules() if hasattr(m, 'drop_prob')}
        # towards the trunk and back in every interaction; two in each of the four extra ones
        assert len(branches) == 4 + 4 + 2 * 4
        assert set(branches.values()) == {0.3}

    def test_extra_interactions_follow_the_last(self) -> None:
        assert [len(interaction.extra_CTIs) for interaction in BACKBONE.interactions] == [0, 0, 0, 4]
        assert not [name for name in small(use_extra_CTI=False).state_dict() if 'extra_CTIs' in name]

    @torch.no_grad()
    def test_features_need_not_look_at_one_another(self) -> None:
        backbone = small(cnn_feature_interaction=[True, False, True, False])
        has = [hasattr(interaction.cti_toc, 'cfinter') for interaction in backbone.interactions]
        assert has == [True, False, True, False]
        assert not hasattr(backbone.interactions[3].extra_CTIs[0], 'cfinter')
        assert backbone(torch.randn(1, 3, 32, 64))[0].isfinite().all()

    @torch.no_grad()
    def test_without_interactions_the_trunk_is_a_plain_one(self) -> None:
        backbone = small(use_CTI_toV=False, use_CTI_toC=False, use_extra_CTI=False)
        assert not [name for name in backbone.state_dict() if 'cti_' in name or 'extra_CTIs' in name]
        image = torch.randn(1, 3, 64, 64)  # pos_embed has just this grid
        c3 = backbone.spm(image)[2] + backbone.level_embed[1]
        # the third map takes what leaves the third interaction
        tokens = backbone.patch_embed(image)[0] + backbone.pos_embed[:, 1:]
        for block in backbone.blocks[:3]:
            tokens = block(tokens, 4, 4)
        expected = backbone.norm3((c3 + tokens).transpose(1, 2).reshape(1, 24, 4, 4))
        torch.testing.assert_close(backbone(image)[2], expected, rtol=1e-4, atol=1e-5)

    def test_without_feed_forward_networks(self) -> None:
        names = small(with_cffn=False).state_dict()
        assert not [name for name in names if '.ffn' in name and 'cti_tov' not in name]
        assert [name for name in names if 'cti_tov.ffn' in name]

    def test_one_interaction_over_the_whole_trunk(self) -> None:
        one = small(interaction_indexes=[[0, 3]], add_vit_feature=False)
        assert len(one.interactions) == 1 and len(one.interactions[0].extra_CTIs) == 4
        assert [feature.shape[1] for feature in one(torch.randn(1, 3, 32, 64))] == [24] * 4

    def test_windows_per_block(self) -> None:
        backbone = small(window_attn=[True, False, True, False], window_size=[3, None, 5, 7])
        types = [type(block.attn) for block in backbone.blocks]
        assert types == [WindowedAttention, Attention, WindowedAttention, Attention]

    def test_batch_norms_of_the_levels_are_not_synchronized(self) -> None:
        interactions = ViTCoMer(**SMALL).interactions
        assert not [m for m in interactions.modules() if isinstance(m, nn.SyncBatchNorm)]
        assert len([m for m in interactions.modules() if isinstance(m, nn.BatchNorm2d)]) == 4 * 3

    def test_the_class_tokens_row_of_pos_embed_is_never_used(self) -> None:
        backbone = small()
        backbone(torch.randn(1, 3, 32, 64))[2].square().sum().backward()
        used = backbone.pos_embed.grad[0].abs().sum(dim=1)
        assert used[0] == 0 and (used[1:] > 0).all()

    def test_layers(self) -> None:
        names = ['pos_embed', 'patch_embed.proj.bias', 'blocks.2.gamma1', 'level_embed', 'interactions.0.mrfp.fc1.bias']
        assert [BACKBONE.get_layer_id(name) for name in names] == [0, 0, 3, 5, 5]


class TestInitialWeights:
    def test_features_start_without_influence_on_the_trunk(self) -> None:
        backbone = ViTCoMer(**SMALL)
        gammas = [parameter for name, parameter in backbone.named_parameters() if name.endswith('cti_tov.gamma')]
        assert len(gammas) == 4 and not any(gamma.any() for gamma in gammas)
        assert (ViTCoMer(**SMALL, init_values=1e-6).interactions[2].cti_tov.gamma == 1e-6).all()

    def test_init_weights_without_a_file_keeps_them(self) -> None:
        backbone = small()
        before = copy.deepcopy(backbone.state_dict())
        backbone.init_weights()
        assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


class TestErrors:
    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            ({'patch_size': 8}, r'patch_size=8, in_chans=3: .* fit patch_size=16 and in_chans=3 only'),
            ({'num_heads': 5}, r'num_heads=5 must divide the embedding dimension, which is 24'),
            ({'deform_num_heads': 5}, r'5'),
            ({'interaction_indexes': [[0, 1], [3, 3]]}, r'\[\[0, 1\], \[3, 3\]\] must be pairs .* below depth=4'),
            ({'interaction_indexes': [[0, 1], [2, 3]]}, r'needs 4 interactions, .* has 2; set add_vit_feature=False'),
            ({'use_CTI_toV': [True] * 3}, r'use_CTI_toV has 3 entries, but interaction_indexes has 4'),
            ({'use_CTI_toC': [True] * 5}, r'use_CTI_toC has 5 entries'),
            ({'cnn_feature_interaction': []}, r'cnn_feature_interaction has 0 entries'),
            ({'dim_ratio': 0.88}, r'but there are 21; choose a dim_ratio'),
            ({'window_attn': True, 'window_size': 0}, r'window_size must be a positive number of tokens, not 0'),
        ],
    )
    def test_arguments(self, changes: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            ViTCoMer(**{**SMALL, **changes})

    @pytest.mark.parametrize(
        ('image', 'message'),
        [(torch.zeros(3, 32, 64), r'image\[None\]'), (torch.zeros(1, 4, 32, 64), 'has 4 channels')],
    )
    def test_images(self, image: torch.Tensor, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            BACKBONE(image)

    def test_position_embedding_of_another_size(self) -> None:
        backbone = small(img_size=96)
        with pytest.raises(ValueError, match=r'has 36 rows, but a grid of 4x4 patches needs 16'):
            backbone(torch.zeros(1, 3, 32, 64))
