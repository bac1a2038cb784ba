import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared_ops.vit import Attention, WindowedAttention, cut_windows, join_windows

DIM, HEADS = 12, 3


def attend(attention, tokens):
    """Write softmax(q k / sqrt(d)) v out for one sequence ``[T, C]`` of projected tokens, head by head."""
    query, key, value = (part.unflatten(-1, (HEADS, DIM // HEADS)) for part in tokens.chunk(3, dim=-1))
    heads = []
    for head in range(HEADS):
        scores = query[:, head] @ key[:, head].T / (DIM // HEADS) ** 0.5
        heads.append(scores.softmax(dim=-1) @ value[:, head])
    return torch.cat(heads, dim=-1)


def test_attention_is_the_formula():
    attention = Attention(DIM, HEADS, qkv_bias=True).double()
    tokens = torch.randn(2, 5 * 7, DIM, dtype=torch.float64)
    expected = attention.proj(torch.stack([attend(attention, sequence) for sequence in attention.qkv(tokens)]))
    torch.testing.assert_close(attention(tokens, 5, 7), expected)


@pytest.mark.parametrize(('height', 'width'), [(6, 9), (5, 7), (2, 1)], ids=['divided', 'not divided', 'smaller'])
def test_windows_are_filled_up_with_zeros_after_the_projection(height, width):
    side = 3
    attention = WindowedAttention(DIM, HEADS, side, qkv_bias=True).double()
    tokens = torch.randn(2, height * width, DIM, dtype=torch.float64)

    projected = attention.qkv(tokens).reshape(2, height, width, 3 * DIM)
    expected = torch.empty(2, height, width, DIM, dtype=torch.float64)
    for image in range(2):
        for top in range(0, height, side):
            for left in range(0, width, side):
                window = torch.zeros(side, side, 3 * DIM, dtype=torch.float64)
                part = projected[image, top : top + side, left : left + side]
                window[: part.shape[0], : part.shape[1]] = part
                attended = attend(attention, window.flatten(0, 1)).unflatten(0, (side, side))
                attended = attended[: part.shape[0], : part.shape[1]]
                expected[image, top : top + side, left : left + side] = attended
    expected = attention.proj(expected.flatten(1, 2))
    torch.testing.assert_close(attention(tokens, height, width), expected)


def test_a_window_over_the_whole_grid_attends_globally():
    windowed = WindowedAttention(DIM, HEADS, 5, qkv_bias=True)
    attention = Attention(DIM, HEADS, qkv_bias=True)
    attention.load_state_dict(windowed.state_dict())
    tokens = torch.randn(2, 5 * 5, DIM)
    torch.testing.assert_close(windowed(tokens, 5, 5), attention(tokens, 5, 5))


def test_dropout_acts_in_training_alone():
    attention = Attention(DIM, HEADS, attn_drop=0.5)
    tokens = torch.randn(1, 6, DIM)
    assert not torch.equal(attention(tokens, 2, 3), attention(tokens, 2, 3))
    attention.eval()
    assert torch.equal(attention(tokens, 2, 3), attention(tokens, 2, 3))


def test_heads_divide_channels():
    with pytest.raises(ValueError, match='num_heads=5 must divide the embedding dimension, which is 12'):
        Attention(DIM, 5)


@pytest.mark.parametrize('window_size', [0, -1, 2.5])
def test_windows_have_a_size(window_size):
    with pytest.raises(ValueError, match=f'window_size must be a positive number of tokens, not {window_size}'):
        WindowedAttention(DIM, HEADS, window_size)


@given(height=st.integers(1, 9), width=st.integers(1, 9), side=st.integers(1, 5))
def test_windows_are_put_together_again(height, width, side):
    tokens = torch.randn(2, height * width, 3)
    windows = cut_windows(tokens, height, width, side)
    assert windows.shape == (2 * -(-height // side) * -(-width // side), side * side, 3)
    assert torch.equal(join_windows(windows, height, width, side), tokens)
