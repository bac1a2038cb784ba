"""BEiTAdapter by itself: class token, position embeddings, tables, initial weights, errors."""

import functools

from vit_adapter import BEiTAdapter

import pytest
import torch
from torch import nn

from shared_ops.vit import relative_position_index, resize_position_embedding
from support import backbones

small = functools.partial(backbones.small, 'BEiTAdapter')
SMALL = backbones.SMALL['BEiTAdapter']
IMAGE = torch.randn(2, 3, 64, 64)


class TestClassToken:
    @torch.no_grad()
    def test_goes_through_the_blocks_alone(self):
        backbone = small()
        seen = {}

        def see(name):
            def hook(module, inputs, output):
                seen[name] = (inputs, output)

            return hook

        for index, block in enumerate(backbone.blocks):
            block.register_forward_hook(see(f'block {index}'))
        for index, interaction in enumerate(backbone.interactions):
            interaction.injector.register_forward_hook(see(f'injector {index}'))
            interaction.extractor.register_forward_hook(see(f'extractor {index}'))
        backbone(IMAGE)

        assert torch.equal(seen['block 0'][0][0][:, :1], backbone.cls_token.expand(2, -1, -1))
        for index in range(4):
            tokens, transformed = seen[f'block {index}'][0][0], seen[f'block {index}'][1]
            assert torch.equal(tokens[:, 1:], seen[f'injector {index}'][1])
            assert torch.equal(seen[f'extractor {index}'][0][1], transformed[:, 1:])
            if index:
                assert torch.equal(tokens[:, :1], seen[f'block {index - 1}'][1][:, :1])


@torch.no_grad()
def test_one_compiled_program_serves_several_sizes():
    backbone = small()
    compiled = torch.compile(backbone, backend='aot_eager')  # the second size makes it trace with sizes left open
    for height, width in [(64, 64), (96, 64), (90, 120)]:
        image = torch.randn(1, 3, height, width)
        for feature, expected in zip(compiled(image), backbone(image), strict=True):
            torch.testing.assert_close(feature, expected, rtol=1e-4, atol=1e-5)


class TestAbsolutePositionEmbedding:
    """The original stops with an error where use_abs_pos_emb=True."""

    @pytest.mark.parametrize('size', [(64, 64), (32, 96)], ids=str)
    @torch.no_grad()
    def test_class_token_and_patches_have_their_rows(self, size):
        image = torch.randn(1, 3, *size)
        backbone = small(use_abs_pos_emb=True)
        plain = small()
        plain.load_state_dict({key: value for key, value in backbone.state_dict().items() if key != 'pos_embed'})
        height, width = size[0] // 16, size[1] // 16
        position = resize_position_embedding(backbone.pos_embed[:, 1:], (4, 4), (height, width))
        plain.cls_token += backbone.pos_embed[:, :1]
        plain.patch_embed.register_forward_hook(lambda _, __, output: (output[0] + position, *output[1:]))
        for feature, expected in zip(backbone(image), plain(image), strict=True):
            torch.testing.assert_close(feature, expected)

    def test_every_row_is_used(self):
        backbone = small(use_abs_pos_emb=True)
        assert backbone.pos_embed.shape == (1, 17, 24)
        backbone(IMAGE)[2].square().sum().backward()
        assert (backbone.pos_embed.grad[0].abs().sum(dim=1) > 0).all()

    def test_pretrain_size_does_not_matter(self):
        assert all(
            map(torch.equal, small(use_abs_pos_emb=True, pretrain_size=96)(IMAGE), small(use_abs_pos_emb=True)(IMAGE))
        )


class TestRelativePositionBias:
    def test_tables_are_those_of_the_images_patches(self):
        state = small(img_size=(64, 96)).state_dict()
        assert state['blocks.3.attn.relative_position_bias_table'].shape == (7 * 11 + 3, 3)
        assert torch.equal(state['blocks.3.attn.relative_position_index'], relative_position_index((4, 6)))

    @pytest.mark.parametrize('size', [(32, 32), (64, 128)], ids=str)
    @torch.no_grad()
    def test_other_sizes_without_a_bias_are_as_with_a_constant_one(self, size):
        """The original takes images of one size; at another, a bias that is the same everywhere changes nothing."""
        image = torch.randn(1, 3, *size)
        biased, plain = small(), small(use_rel_pos_bias=False)
        for block in biased.blocks:
            block.attn.relative_position_bias_table.fill_(0.7)
        state = {key: value for key, value in biased.state_dict().items() if 'relative' not in key}
        plain.load_state_dict(state)
        for feature, expected in zip(biased(image), plain(image), strict=True):
            torch.testing.assert_close(feature, expected, rtol=1e-4, atol=1e-5)

    @torch.no_grad()
    def test_a_shared_table_acts_in_every_block(self):
        shared, separate = small(use_rel_pos_bias=False, use_shared_rel_pos_bias=True), small()
        state = shared.state_dict()
        table = state.pop('rel_pos_bias.relative_position_bias_table')
        state.pop('rel_pos_bias.relative_position_index')
        state |= {f'blocks.{index}.attn.relative_position_bias_table': table for index in range(4)}
        separate.load_state_dict(state)
        for feature, expected in zip(shared(IMAGE), separate(IMAGE), strict=True):
            torch.testing.assert_close(feature, expected)


class TestInitialWeights:
    def test_scales_start_from_init_values(self):
        backbone = BEiTAdapter(**{**SMALL, 'init_values': 1e-6})
        scales = [parameter for name, parameter in backbone.named_parameters() if 'gamma' in name]
        assert len(scales) == 2 * 4 + 4 and all((scale == 1e-6).all() for scale in scales)

    def test_tables_start_from_zero(self):
        backbone = BEiTAdapter(**SMALL, use_shared_rel_pos_bias=True, use_abs_pos_emb=True)
        assert not any(table.any() for name, table in backbone.named_parameters() if 'table' in name)
        assert not backbone.pos_embed.any() and backbone.cls_token.any()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'patch_size': 8}, r'patch_size=8, in_chans=3: .* fit patch_size=16 and in_chans=3 only'),
        ({'interaction_indexes': [[0, 1], [3, 3]]}, r'\[\[0, 1\], \[3, 3\]\] must be pairs .* below depth=4'),
        ({'interaction_indexes': [[0, 1], [2, 3]]}, r'needs 4 interactions, .* has 2; set add_vit_feature=False'),
        ({'img_size': (64, 15)}, r'img_size=\(64, 15\) has no room for a patch of patch_size=16 pixels'),
    ],
)
def test_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        BEiTAdapter(**{**SMALL, **changes})


def test_the_extractors_have_the_full_rate_of_stochastic_depth():
    backbone = small(drop_path_rate=0.3)
    assert isinstance(backbone.blocks[0].drop_path, nn.Identity)
    extractors = [interaction.extractor for interaction in backbone.interactions]
    extractors += backbone.interactions[-1].extra_extractors
    assert [extractor.drop_path.drop_prob for extractor in extractors] == [0.3] * 6
