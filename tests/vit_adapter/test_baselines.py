"""BEiTBaseline and ViTBaseline by themselves: which blocks become which maps, position embeddings, errors."""

import functools

from vit_adapter import BEiTBaseline, ViTBaseline

import pytest
import torch
from torch import nn

from shared_ops.vit import resize_position_embedding, tokens_to_map
from support import backbones

small_beit = functools.partial(backbones.small, 'BEiTBaseline')
small_vit = functools.partial(backbones.small, 'ViTBaseline')
IMAGE = torch.randn(2, 3, 64, 64)


def outputs_of_blocks(backbone, image):
    """Run a backbone and return its maps, and what each block returned."""
    outputs = []
    hooks = [block.register_forward_hook(lambda _, __, output: outputs.append(output)) for block in backbone.blocks]
    maps = backbone(image)
    for hook in hooks:
        hook.remove()
    return maps, outputs


class TestBEiTBaseline:
    @torch.no_grad()
    def test_blocks_and_maps(self):
        backbone = small_beit(depth=6, out_indices=[0, 2, 3, 5])
        maps, outputs = outputs_of_blocks(backbone, IMAGE)
        c1, c2, c3, c4 = (tokens_to_map(outputs[index][:, 1:], 4, 4) for index in (0, 2, 3, 5))
        up, norm, activation, up_again = backbone.fpn1
        assert isinstance(activation, nn.GELU)
        assert torch.equal(maps[0], up_again(nn.functional.gelu(norm(up(c1)))))
        assert torch.equal(maps[1], backbone.fpn2[0](c2))
        assert torch.equal(maps[2], c3)
        assert torch.equal(maps[3], nn.functional.max_pool2d(c4, 2))

    @torch.no_grad()
    def test_patches_of_8_pixels(self):
        backbone = small_beit(patch_size=8)
        maps, outputs = outputs_of_blocks(backbone, IMAGE)
        assert [feature.shape[2] for feature in maps] == [16, 8, 4, 2]
        assert torch.equal(maps[1], tokens_to_map(outputs[1][:, 1:], 8, 8))
        assert {key for key in backbone.state_dict() if key.startswith('fpn')} == {'fpn1.0.weight', 'fpn1.0.bias'}

    @pytest.mark.parametrize('size', [(64, 64), (48, 96)], ids=str)
    @torch.no_grad()
    def test_absolute_position_embedding(self, size):
        image = torch.randn(1, 3, *size)
        backbone, plain = small_beit(use_abs_pos_emb=True), small_beit()
        plain.load_state_dict({key: value for key, value in backbone.state_dict().items() if key != 'pos_embed'})
        grid = (size[0] // 16, size[1] // 16)
        position = resize_position_embedding(backbone.pos_embed[:, 1:], (4, 4), grid)
        plain.cls_token += backbone.pos_embed[:, :1]
        plain.patch_embed.register_forward_hook(lambda _, __, output: (output[0] + position, *output[1:]))
        for feature, expected in zip(backbone(image), plain(image), strict=True):
            torch.testing.assert_close(feature, expected)

    @torch.no_grad()
    def test_a_shared_table_is_added_to_the_blocks_own(self):
        both, one = small_beit(use_shared_rel_pos_bias=True), small_beit()
        state = both.state_dict()
        shared = state.pop('rel_pos_bias.relative_position_bias_table')
        state.pop('rel_pos_bias.relative_position_index')
        one.load_state_dict({key: value + shared if 'bias_table' in key else value for key, value in state.items()})
        for feature, expected in zip(both(IMAGE), one(IMAGE), strict=True):
            torch.testing.assert_close(feature, expected)

    def test_defaults_are_the_originals(self):
        backbone = BEiTBaseline(embed_dim=24, num_heads=3)
        state = backbone.state_dict()
        assert (len(backbone.blocks), backbone.out_indices) == (12, (3, 5, 7, 11))
        assert state['pos_embed'].shape == (1, 197, 24)
        assert not [key for key in state if 'relative' in key or 'gamma' in key or key.endswith('q_bias')]

    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            ({'patch_size': 14}, r'patch_size=14: .* patches of 16 or 8 pixels'),
            ({'out_indices': [0, 1, 2]}, r'out_indices=\[0, 1, 2\] must be four block numbers .* below depth=4'),
            ({'out_indices': [0, 1, 2, 4]}, r'below depth=4'),
            ({'out_indices': [0, 2, 1, 3]}, r'from shallow to deep'),
            ({'out_indices': [0, 1, 1, 3]}, r'must be four'),
            ({'img_size': 8}, r'img_size=8 has no room'),
        ],
    )
    def test_arguments(self, changes, message):
        with pytest.raises(ValueError, match=message):
            small_beit(**changes)


class TestViTBaseline:
    @pytest.mark.parametrize(('depth', 'blocks'), [(8, [1, 3, 5, 7]), (4, [0, 1, 2, 3]), (13, [2, 5, 8, 11])])
    @torch.no_grad()
    def test_blocks_and_maps(self, depth, blocks):
        backbone = small_vit(depth=depth)
        maps, outputs = outputs_of_blocks(backbone, IMAGE)
        norms = (backbone.norm1, backbone.norm2, backbone.norm3, backbone.norm4)
        c1, c2, c3, c4 = (tokens_to_map(norm(outputs[index]), 4, 4) for norm, index in zip(norms, blocks))
        up, norm, _, up_again = backbone.up1
        assert torch.equal(maps[0], up_again(nn.functional.gelu(norm(up(c1)))))
        assert torch.equal(maps[1], backbone.up2(c2))
        assert torch.equal(maps[2], c3)
        assert torch.equal(maps[3], nn.functional.max_pool2d(c4, 2))

    def test_keys(self):
        keys = set(ViTBaseline(**backbones.SMALL['ViTBaseline']).state_dict())
        ends = {key for key in keys if not key.startswith(('blocks.', 'patch_embed.'))}
        names = ('norm1', 'norm2', 'norm3', 'norm4', 'up1.0', 'up1.1', 'up1.3', 'up2')
        assert ends == {'pos_embed'} | {f'{name}.{kind}' for name in names for kind in ('weight', 'bias')}

    def test_the_class_tokens_row_of_pos_embed_is_never_used(self):
        backbone = small_vit()
        backbone(IMAGE)[2].square().sum().backward()
        used = backbone.pos_embed.grad[0].abs().sum(dim=1)
        assert used[0] == 0 and (used[1:] > 0).all()

    @pytest.mark.parametrize(
        ('changes', 'message'),
        [
            ({'patch_size': 8}, 'patch_size=8: .* patches of 16 pixels'),
            ({'embed_dim': 40}, 'embed_dim=40 must be a multiple of 32'),
            ({'depth': 3}, 'depth=3 has no four equal parts'),
            ({'depth': 15}, 'depth=15 has no four equal parts'),
        ],
    )
    def test_arguments(self, changes, message):
        with pytest.raises(ValueError, match=message):
            small_vit(**changes)
