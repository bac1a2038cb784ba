"""The backbone by itself: sizes, options, precision, errors. No registry, no config."""

import copy
import pickle

from vit_adapter import ViTAdapter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.model import revert_sync_batchnorm
from torch import nn

from shared_ops.vit import Attention, WindowedAttention

SMALL = {
    'embed_dim': 24,
    'depth': 4,
    'num_heads': 3,
    'deform_num_heads': 2,
    'conv_inplane': 4,
    'img_size': 64,
    'pretrain_size': 64,
    'interaction_indexes': [[0, 0], [1, 1], [2, 2], [3, 3]],
}


def small(**changes):
    """Return a small backbone in evaluation mode, all of whose parameters matter."""
    torch.manual_seed(1)
    backbone = ViTAdapter(**{**SMALL, **changes})
    for name, parameter in backbone.named_parameters():
        if name.endswith(('gamma', 'pos_embed', 'sampling_offsets.weight', 'attention_weights.weight')):
            nn.init.normal_(parameter, std=0.2)
    return revert_sync_batchnorm(backbone).eval()


BACKBONE = small()


class TestSizes:
    @settings(max_examples=25, deadline=None)
    @given(height=st.integers(1, 100), width=st.integers(1, 100))
    def test_every_size_works(self, height, width):
        with torch.no_grad():
            features = BACKBONE(torch.randn(1, 3, height, width))
        for feature, stride in zip(features, (4, 8, 16, 32), strict=True):
            assert feature.shape == (1, 24, -(-height // stride), -(-width // stride))
            assert feature.isfinite().all()

    @torch.no_grad()
    def test_other_sizes_are_those_of_the_padded_image(self):
        image = torch.randn(2, 3, 70, 33)
        padded = BACKBONE(nn.functional.pad(image, (0, 31, 0, 26)))
        for feature, whole in zip(BACKBONE(image), padded):
            assert torch.equal(feature, whole[..., : feature.shape[2], : feature.shape[3]])

    @torch.no_grad()
    def test_a_batch_is_its_images(self):
        images = torch.randn(3, 3, 64, 96)
        for feature, *alone in zip(BACKBONE(images), *(BACKBONE(image[None]) for image in images)):
            torch.testing.assert_close(feature, torch.cat(alone), rtol=1e-4, atol=1e-5)

    def test_empty_batch(self):
        assert [len(feature) for feature in BACKBONE(torch.zeros(0, 3, 32, 64))] == [0] * 4


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

    def test_recomputed_activations_give_the_same_gradients(self):
        image = torch.randn(2, 3, 32, 64, dtype=torch.float64)
        gradients = []
        for with_cp in (False, True):
            backbone = small(with_cp=with_cp).double().train()
            sum(feature.square().mean() for feature in backbone(image)).backward()
            gradients.append([parameter.grad for parameter in backbone.parameters()])
        for kept, recomputed in zip(*gradients, strict=True):
            torch.testing.assert_close(recomputed, kept, rtol=1e-9, atol=1e-12)

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

    def test_init_weights_without_a_file_keeps_them(self):
        backbone = small()
        before = copy.deepcopy(backbone.state_dict())
        backbone.init_weights()
        assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())

    def test_building_reads_no_file(self):
        assert ViTAdapter(**SMALL, pretrained='/does/not/exist.pth').pretrained == '/does/not/exist.pth'


class TestPrecision:
    @torch.no_grad()
    def test_autocast(self):
        image = torch.randn(1, 3, 64, 96)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            lower = BACKBONE(image)
        for feature, expected in zip(lower, BACKBONE(image)):
            assert feature.isfinite().all()
            assert (feature - expected).abs().max() < 0.05 * expected.abs().max()

    @torch.no_grad()
    @pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
    def test_half_precision_weights(self, dtype):
        image = torch.randn(1, 3, 64, 96)
        for feature, expected in zip(small().to(dtype)(image.to(dtype)), BACKBONE(image)):
            assert feature.dtype == dtype
            assert (feature.float() - expected).abs().max() < 0.05 * expected.abs().max()


class TestCopies:
    image = torch.randn(1, 3, 32, 64)

    @torch.no_grad()
    @pytest.mark.parametrize('copied', [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
    def test_copies_compute_the_same(self, copied):
        assert all(map(torch.equal, copied(BACKBONE)(self.image), BACKBONE(self.image)))

    @torch.no_grad()
    def test_export(self):
        exported = torch.export.export(BACKBONE, (self.image,)).module()
        for feature, expected in zip(exported(self.image), BACKBONE(self.image)):
            torch.testing.assert_close(feature, expected)


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

    @pytest.mark.parametrize(
        ('image', 'message'),
        [
            (torch.zeros(3, 32, 64), r'image\[None\]'),
            (torch.zeros(1, 4, 32, 64), 'has 4 channels'),
            (torch.zeros(1, 3, 32, 64, dtype=torch.uint8), 'floating point'),
            (torch.zeros(1, 3, 32, 0), 'has no pixels'),
        ],
    )
    def test_images(self, image, message):
        with pytest.raises(ValueError, match=message):
            BACKBONE(image)

    def test_position_embedding_of_another_size(self):
        backbone = small(img_size=96)
        with pytest.raises(ValueError, match=r'has 36 rows, but a grid of 4x4 patches needs 16'):
            backbone(torch.zeros(1, 3, 32, 64))
