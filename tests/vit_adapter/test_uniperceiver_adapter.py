"""UniPerceiverAdapter and its trunk by themselves: embedding, windows, norms, recomputation."""

import functools

from vit_adapter import UniPerceiverAdapter
from vit_adapter.uniperceiver import Layer, SelfAttention, VisualEmbed

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from support import backbones

small = functools.partial(backbones.small, 'UniPerceiverAdapter')
DIM, HEADS = 12, 3


def attend(attention, tokens):
    """Write the attention within one sequence ``[T, C]`` out, head by head."""
    query, key, value = (part.unflatten(-1, (HEADS, -1)) for part in attention.in_proj(tokens).chunk(3, dim=-1))
    heads = [
        (query[:, head] @ key[:, head].T / (DIM // HEADS) ** 0.5).softmax(dim=-1) @ value[:, head]
        for head in range(HEADS)
    ]
    return torch.cat(heads, dim=-1)


@pytest.mark.parametrize(('height', 'width'), [(6, 9), (5, 7), (2, 1)], ids=['divided', 'not divided', 'smaller'])
def test_windows_are_filled_up_with_zeros_before_the_projection(height, width):
    side = 3
    attention = SelfAttention(DIM, HEADS, side).double()
    tokens = torch.randn(2, height, width, DIM, dtype=torch.float64)
    expected = torch.empty_like(tokens)
    for image in range(2):
        for top in range(0, height, side):
            for left in range(0, width, side):
                part = tokens[image, top : top + side, left : left + side]
                window = torch.zeros(side, side, DIM, dtype=torch.float64)
                window[: part.shape[0], : part.shape[1]] = part
                attended = attend(attention, window.flatten(0, 1)).unflatten(0, (side, side))
                expected[image, top : top + side, left : left + side] = attended[: part.shape[0], : part.shape[1]]
    expected = attention.out_proj(expected.flatten(1, 2))
    torch.testing.assert_close(attention(tokens.flatten(1, 2), height, width), expected)


def test_without_windows_attention_is_global():
    attention = SelfAttention(DIM, HEADS).double()
    tokens = torch.randn(2, 15, DIM, dtype=torch.float64)
    expected = attention.out_proj(torch.stack([attend(attention, sequence) for sequence in tokens]))
    torch.testing.assert_close(attention(tokens, 3, 5), expected)


def test_embedding_of_place_and_frame():
    embed = VisualEmbed(img_size=64, patch_size=16, in_chans=3, embed_dim=DIM)
    image = torch.randn(2, 3, 96, 32)
    tokens, height, width = embed(image)
    assert (height, width) == (6, 2)
    patches = embed.patch_embed
    place = patches.spatial_pos_embed.weight.T.reshape(1, DIM, 4, 4)
    place = F.interpolate(place, size=(6, 2), mode='bicubic', align_corners=False)
    frame = patches.temporal_pos_embed.weight[0, :, None, None]
    expected = embed.embeddings_norm((patches.proj(image) + place + frame).flatten(2).transpose(1, 2))
    torch.testing.assert_close(tokens, expected)


def test_residual_and_layer_scale():
    layer = Layer(DIM, HEADS)
    tokens = torch.randn(2, 15, DIM)
    assert torch.equal(layer(tokens, 3, 5), tokens), 'scales start from zero'
    nn.init.normal_(layer.gamma_1)
    nn.init.normal_(layer.gamma_2)
    attended = tokens + layer.gamma_1 * layer.self_attn(layer.norm1(tokens), 3, 5)
    hidden = F.gelu(layer.linear1(layer.norm2(attended)))
    torch.testing.assert_close(layer(tokens, 3, 5), attended + layer.gamma_2 * layer.linear2(hidden))


def test_norms_have_the_epsilon_of_pytorch():
    epsilons = {module.eps for module in small().modules() if isinstance(module, nn.LayerNorm)}
    assert epsilons == {1e-5}


def test_the_trunk_alone_recomputes():
    backbone = small(with_cp=True)
    recomputing = {name.split('.')[0] for name, module in backbone.named_modules() if getattr(module, 'with_cp', False)}
    assert recomputing == {'layers'}


def test_windows_per_layer():
    backbone = small(window_attn=[True, False, True, False], window_size=[3, None, 5, 7])
    assert [layer.self_attn.window_size for layer in backbone.layers] == [3, None, 5, None]
    assert backbone.state_dict().keys() == small().state_dict().keys()


def test_extra_extractors_follow_the_last_interaction():
    assert [len(interaction.extra_extractors) for interaction in small().interactions] == [0, 0, 0, 2]


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'patch_size': 8}, r'patch_size=8, in_chans=3: .* fit patch_size=16 and in_chans=3 only'),
        ({'window_attn': [True] * 3}, r'window_attn has 3 entries, but the trunk has depth=4 blocks'),
        ({'window_attn': True, 'window_size': 0}, r'window_size must be a positive number of tokens, not 0'),
        ({'interaction_indexes': [[0, 4]]}, r'stay below depth=4'),
    ],
)
def test_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        UniPerceiverAdapter(**{**backbones.SMALL['UniPerceiverAdapter'], **changes})
