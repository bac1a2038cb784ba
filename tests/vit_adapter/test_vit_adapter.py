"""ViTAdapter by itself: options, initial weights, errors. No registry, no config."""

import functools

from vit_adapter import ViTAdapter

import pytest
import torch

from shared_ops.vit import Attention, WindowedAttention
from support import backbones

small = functools.partial(backbones.small, 'ViTAdapter')
SMALL = backbones.SMALL['ViTAdapter']
BACKBONE = small()


class TestOptions:
    def test_stochastic_depth_grows_over_the_trunk_and_is_full_in_the_extractors(self):
        backbone = small(drop_path_rate=0.3)
        rates = [getattr(block.drop_path, 'drop_prob', 0.0) for block in backbone.blocks]
        assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])
        extractors = [interaction.extractor for interaction in backbone.interactions]
        extractors += backbone.interactions[-1].extra_extractors
        assert [extractor.drop_path.drop_prob for extractor in extractors] == [0.3] * 6

    def test_windows_per_block(self):
        backbone = small(window_attn=[True, False, True, False], window_size=[3, None, 5, 7])
        attentions = [block.attn for block in backbone.blocks]
        types = [type(attention) for attention in attentions]
        assert types == [WindowedAttention, Attention, WindowedAttention, Attention]
        assert (attentions[0].window_size, attentions[2].window_size) == (3, 5)

    @torch.no_grad()
    def test_windows_change_the_result_but_not_the_parameters(self):
        windowed = small(window_attn=True, window_size=3)
        assert windowed.state_dict().keys() == BACKBONE.state_dict().keys()
        image = torch.randn(1, 3, 64, 96)
        assert not torch.allclose(windowed(image)[2], BACKBONE(image)[2])

    def test_light_variant(self):
        light = small(interaction_indexes=[[0, 3]], with_cffn=False, add_vit_feature=False, use_extra_extractor=False)
        assert len(light.interactions) == 1
        assert not [name for name in light.state_dict() if 'ffn' in name or 'extra_' in name]
        assert [feature.shape[1] for feature in light(torch.randn(1, 3, 32, 64))] == [24] * 4

    def test_extra_extractors_follow_the_last_interaction(self):
        assert [len(interaction.extra_extractors) for interaction in BACKBONE.interactions] == [0, 0, 0, 2]
        assert not [name for name in small(use_extra_extractor=False).state_dict() if 'extra_' in name]

    def test_the_class_tokens_row_of_pos_embed_is_never_used(self):
        backbone = small()
        backbone(torch.randn(1, 3, 32, 64))[2].square().sum().backward()
        used = backbone.pos_embed.grad[0].abs().sum(dim=1)
        assert used[0] == 0 and (used[1:] > 0).all()


class TestInitialWeights:
    def test_adapters_start_without_influence_on_the_trunk(self):
        backbone = ViTAdapter(**SMALL)
        gammas = [parameter for name, parameter in backbone.named_parameters() if name.endswith('injector.gamma')]
        assert len(gammas) == 4 and not any(gamma.any() for gamma in gammas)
        scales = [scale for block in backbone.blocks for scale in (block.gamma1, block.gamma2)]
        assert all((scale == 1).all() for scale in scales)

    def test_injectors_start_from_init_values(self):
        assert (ViTAdapter(**SMALL, init_values=1e-6).interactions[2].injector.gamma == 1e-6).all()


class TestErrors:
    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            ({'patch_size': 8}, r'patch_size=8, in_chans=3: .* fit patch_size=16 and in_chans=3 only'),
            ({'in_chans': 4}, r'patch_size=16, in_chans=4'),
            ({'num_heads': 5}, r'num_heads=5 must divide the embedding dimension, which is 24'),
            ({'interaction_indexes': [[0, 1], [3, 3]]}, r'\[\[0, 1\], \[3, 3\]\] must be pairs .* below depth=4'),
            ({'interaction_indexes': [[0, 1], [2, 4]]}, r'stay below depth=4'),
            ({'interaction_indexes': [[0, 1], [2, 3]]}, r'needs 4 interactions, .* has 2; set add_vit_feature=False'),
            ({'window_attn': [True] * 3}, r'window_attn has 3 entries, but the trunk has depth=4 blocks'),
            ({'window_size': [3] * 5}, r'window_size has 5 entries, but the trunk has depth=4 blocks'),
            ({'window_attn': True, 'window_size': 0}, r'window_size must be a positive number of tokens, not 0'),
        ],
    )
    def test_arguments(self, changes, message):
        with pytest.raises(ValueError, match=message):
            ViTAdapter(**{**SMALL, **changes})

    def test_position_embedding_of_another_size(self):
        backbone = small(img_size=96)
        with pytest.raises(ValueError, match=r'has 36 rows, but a grid of 4x4 patches needs 16'):
            backbone(torch.zeros(1, 3, 32, 64))
