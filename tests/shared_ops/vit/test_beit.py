import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shared_ops.vit import BEiTAttention, BEiTBlock, relative_position_bias, relative_position_index

DIM, HEADS, WINDOW = 12, 3, (2, 4)


def drawn(module):
    """Give every parameter a value of its own."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def attend(attention, tokens, bias):
    """Write the attention of one sequence ``[T, C]`` out, head by head."""
    zeros = torch.zeros_like(attention.q_bias)
    query, key, value = F.linear(
        tokens, attention.qkv.weight, torch.cat((attention.q_bias, zeros, attention.v_bias))
    ).chunk(3, dim=-1)
    heads = []
    for head in range(HEADS):
        part = slice(head * DIM // HEADS, (head + 1) * DIM // HEADS)
        scores = query[:, part] @ key[:, part].T * (attention.scale or (DIM // HEADS) ** -0.5) + bias[head]
        heads.append(scores.softmax(dim=-1) @ value[:, part])
    return attention.proj(torch.cat(heads, dim=-1))


@pytest.mark.parametrize('qk_scale', [None, 0.3])
def test_attention_is_the_formula(qk_scale):
    attention = drawn(BEiTAttention(DIM, HEADS, window=WINDOW, qkv_bias=True, qk_scale=qk_scale))
    tokens = torch.randn(2, 9, DIM, dtype=torch.float64)
    bias = attention.relative_position_bias_table[relative_position_index(WINDOW)].permute(2, 0, 1)
    expected = torch.stack([attend(attention, sequence, bias) for sequence in tokens])
    torch.testing.assert_close(attention(tokens, 2, 4), expected)


def test_a_shared_bias_is_added():
    attention = drawn(BEiTAttention(DIM, HEADS, window=WINDOW, qkv_bias=True))
    alone = drawn(BEiTAttention(DIM, HEADS, qkv_bias=True))
    alone.load_state_dict(attention.state_dict(), strict=False)
    tokens = torch.randn(2, 13, DIM, dtype=torch.float64)
    bias = relative_position_bias(attention.relative_position_bias_table, WINDOW, (3, 4))
    torch.testing.assert_close(alone(tokens, 3, 4, bias), attention(tokens, 3, 4))
    torch.testing.assert_close(alone(tokens, 3, 4, 2 * bias), attention(tokens, 3, 4, bias))


def test_keys():
    names = {'norm1', 'norm2', 'mlp.fc1', 'mlp.fc2', 'attn.proj'}
    keys = {f'{name}.{kind}' for name in names for kind in ('weight', 'bias')} | {'attn.qkv.weight'}
    assert set(BEiTBlock(DIM, HEADS).state_dict()) == keys
    keys |= {'gamma_1', 'gamma_2', 'attn.q_bias', 'attn.v_bias'}
    keys |= {'attn.relative_position_bias_table', 'attn.relative_position_index'}
    assert set(BEiTBlock(DIM, HEADS, window=WINDOW, qkv_bias=True, init_values=0.1).state_dict()) == keys


def test_residual_and_layer_scale():
    tokens = torch.randn(2, 9, DIM)
    assert torch.equal(BEiTBlock(DIM, HEADS, window=WINDOW, init_values=0.0)(tokens, 2, 4), tokens)
    scaled, plain = BEiTBlock(DIM, HEADS, init_values=1), BEiTBlock(DIM, HEADS)
    plain.load_state_dict({key: value for key, value in scaled.state_dict().items() if 'gamma' not in key})
    assert torch.equal(scaled(tokens, 2, 4), plain(tokens, 2, 4))


def test_the_mlp_drops_its_result_alone():
    mlp = BEiTBlock(DIM, HEADS, drop=0.5).mlp
    assert (mlp.drop1.p, mlp.drop2.p) == (0.0, 0.5)


def test_recomputed_activations_give_the_same_gradients():
    block = drawn(BEiTBlock(DIM, HEADS, window=WINDOW, qkv_bias=True, init_values=0.1))
    tokens = torch.randn(2, 9, DIM, dtype=torch.float64, requires_grad=True)
    gradients = []
    for with_cp in (False, True):
        block.with_cp = with_cp
        loss = block(tokens, 2, 4).square().sum()
        gradients.append(torch.autograd.grad(loss, [tokens, *block.parameters()]))
    assert all(map(torch.equal, *gradients))


def test_gradient_of_the_table():
    attention = drawn(BEiTAttention(DIM, HEADS, window=WINDOW))
    tokens = torch.randn(1, 9, DIM, dtype=torch.float64)

    def of_table(table):
        return torch.func.functional_call(attention, {'relative_position_bias_table': table}, (tokens, 2, 4))

    table = attention.relative_position_bias_table.detach().requires_grad_()
    assert torch.autograd.gradcheck(of_table, table, fast_mode=True)


def test_attention_uses_the_fused_kernel():
    """A bias of three dimensions would silently make PyTorch write all attention weights out."""
    attention = BEiTAttention(DIM, HEADS, window=WINDOW)
    with torch.no_grad(), torch.profiler.profile() as profile:
        attention(torch.randn(2, 9, DIM), 2, 4)
    names = {event.key for event in profile.key_averages()}
    assert 'aten::_scaled_dot_product_flash_attention_for_cpu' in names


def test_heads_divide_channels():
    with pytest.raises(ValueError, match='num_heads=5 must divide the embedding dimension, which is 12'):
        BEiTAttention(DIM, 5)
