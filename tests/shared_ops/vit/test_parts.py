"""Position embedding, reference points, convolutions and pyramid, each by itself."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shared_ops import MSDeformAttn
from shared_ops.vit import (
    ConvFFN,
    FeaturePyramid,
    PatchEmbed,
    SpatialPriorModule,
    block_ranges,
    deform_inputs,
    init_adapter_weights,
    plain_vit_layer_id,
    resize_position_embedding,
    tokens_to_map,
    window_sizes,
)


class TestPositionEmbedding:
    def test_its_own_grid_is_kept(self):
        embedding = torch.randn(1, 4 * 3, 5)
        torch.testing.assert_close(resize_position_embedding(embedding, (4, 3), (4, 3)), embedding)

    def test_other_grids(self):
        embedding = torch.randn(1, 4 * 3, 5)
        feature = tokens_to_map(embedding, 4, 3)
        expected = F.interpolate(feature, size=(6, 7), mode='bicubic', align_corners=False)
        resized = resize_position_embedding(embedding, (4, 3), (6, 7))
        torch.testing.assert_close(tokens_to_map(resized, 6, 7), expected)

    def test_wrong_number_of_rows(self):
        with pytest.raises(ValueError, match='has 13 rows, but a grid of 4x3 patches needs 12'):
            resize_position_embedding(torch.zeros(1, 13, 5), (4, 3), (6, 7))


def test_patches():
    embed = PatchEmbed(img_size=64, patch_size=16, embed_dim=5)
    assert embed.num_patches == 16
    image = torch.randn(2, 3, 32, 48)
    tokens, height, width = embed(image)
    assert (tokens.shape, height, width) == ((2, 6, 5), 2, 3)
    # token (1, 2) is the projection of its patch
    torch.testing.assert_close(tokens[:, 1 * 3 + 2], embed.proj(image[..., 16:32, 32:48]).flatten(1))


def test_reference_points():
    injector, extractor = deform_inputs(4, 6, torch.device('cpu'))
    assert injector.spatial_shapes == [(8, 12), (4, 6), (2, 3)] and injector.level_start_index == [0, 96, 120]
    assert extractor.spatial_shapes == [(4, 6)] and extractor.level_start_index == [0]
    assert injector.reference_points.shape == (1, 24, 1, 2)
    assert extractor.reference_points.shape == (1, 96 + 24 + 6, 1, 2)
    # (x, y) of the centre of row 2, column 5; of row 1, column 0 of the last level
    torch.testing.assert_close(injector.reference_points[0, 2 * 6 + 5, 0], torch.tensor([5.5 / 6, 2.5 / 4]))
    torch.testing.assert_close(extractor.reference_points[0, 96 + 24 + 3, 0], torch.tensor([0.5 / 3, 1.5 / 2]))


def test_one_convolution_serves_all_levels():
    ffn = ConvFFN(4, 7)
    tokens = torch.randn(2, 126, 4)
    hidden = ffn.fc1(tokens)
    levels = zip(hidden.split([96, 24, 6], dim=1), [(8, 12), (4, 6), (2, 3)])
    convolved = [ffn.dwconv.dwconv(tokens_to_map(level, *size)).flatten(2) for level, size in levels]
    expected = ffn.fc2(F.gelu(torch.cat(convolved, dim=2).transpose(1, 2)))
    torch.testing.assert_close(ffn(tokens, 4, 6), expected)


def test_spatial_prior_has_four_strides():
    prior = SpatialPriorModule(inplanes=2, embed_dim=5).eval()
    c1, c2, c3, c4 = prior(torch.randn(3, 3, 64, 96))
    assert c1.shape == (3, 5, 16, 24)
    assert [c.shape for c in (c2, c3, c4)] == [(3, 96, 5), (3, 24, 5), (3, 6, 5)]


class TestFeaturePyramid:
    pyramid = FeaturePyramid(5).eval()
    maps = tuple(torch.randn(2, 5, height, 3 * height // 2) for height in (16, 8, 4, 2))

    def test_without_features_of_the_trunk(self):
        c1, c2, c3, c4 = self.maps
        expected = [self.pyramid.norm1(self.pyramid.up(c2) + c1), *map(self.pyramid.norm2, (c2, c3, c4))]
        found = self.pyramid.finish_pyramid(c1, c2, c3, c4, [])
        assert all(map(torch.equal, found, expected))  # fresh norms are alike in evaluation

    def test_features_of_the_trunk_are_resized_and_added(self):
        constants = [torch.full((2, 5, 4, 6), float(value)) for value in (1, 2, 3, 4)]
        without = self.pyramid.finish_pyramid(*self.maps, [])
        found = self.pyramid.finish_pyramid(*self.maps, constants)
        for level, value in enumerate((1, 2, 3, 4)):
            scale = (1 + self.pyramid.norm1.eps) ** -0.5
            torch.testing.assert_close(found[level], without[level] + value * scale)


class TestWindowSizes:
    def test_one_for_all_or_one_each(self):
        assert window_sizes(False, 14, 3) == [None, None, None]
        assert window_sizes(True, 14, 3) == [14, 14, 14]
        assert window_sizes([True, False, True], [4, None, 8], 3) == [4, None, 8]

    @pytest.mark.parametrize(
        ('window_attn', 'window_size', 'message'),
        [
            ([True, False], 14, 'window_attn has 2 entries, but the trunk has depth=3 blocks'),
            (True, (14, 4), 'window_size has 2 entries, but the trunk has depth=3 blocks'),
            ([False, True, False], None, 'block 1 has window_attn=True, but window_size=None'),
        ],
    )
    def test_wrong(self, window_attn, window_size, message):
        with pytest.raises(ValueError, match=message):
            window_sizes(window_attn, window_size, 3)


class TestBlockRanges:
    def test_both_ends_are_inclusive(self):
        blocks = list(range(6))
        parts = block_ranges([[0, 2], [3], [4, 5]], 6)
        assert [blocks[part] for part in parts] == [[0, 1, 2], [3], [4, 5]]

    @pytest.mark.parametrize(
        'indexes',
        [[], [[1, 2]], [[0, 1], [3, 5]], [[0, 2], [2, 5]], [[0, 6]], [[3, 5], [0, 2]], [[0, 2], [3, 2]], [[0, -2]]],
        ids=['none', 'first skipped', 'skipped', 'repeated', 'too many', 'wrong order', 'empty', 'negative'],
    )
    def test_wrong(self, indexes):
        with pytest.raises(ValueError, match=r'must be pairs .* stay below depth=6'):
            block_ranges(indexes, 6)


@pytest.mark.parametrize(
    ('name', 'layer'),
    [
        ('cls_token', 0), ('pos_embed', 0), ('patch_embed.proj.weight', 0), ('visual_embed.embeddings_norm.bias', 0),
        ('layers.0.linear1.weight', 1), ('rel_pos_bias.relative_position_bias_table', 13),
        ('blocks.0.gamma1', 1), ('blocks.11.attn.qkv.bias', 12),
        ('level_embed', 13), ('interactions.0.injector.gamma', 13), ('norm1.weight', 13), ('spm.fc1.bias', 13),
    ],
)  # fmt: skip
def test_layers(name, layer):
    assert plain_vit_layer_id(name, depth=12) == layer


def test_initial_weights():
    linear, conv = nn.Linear(300, 200), nn.Conv2d(64, 96, 3, groups=2)
    attention = MSDeformAttn(24, n_levels=3, n_heads=6, n_points=4, ratio=1.0)
    nn.Sequential(linear, conv, attention).apply(init_adapter_weights)
    assert linear.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 96 / 2)) ** 0.5, rel=0.05)
    assert not linear.bias.any() and not conv.bias.any()
    assert not attention.sampling_offsets.weight.any() and attention.sampling_offsets.bias.any()
