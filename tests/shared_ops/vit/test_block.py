import pytest
import torch
from timm.layers import DropPath
from torch import nn

from shared_ops.vit import Block, recompute


def test_keys():
    with_scale = {name.partition('.')[0] for name in Block(8, 2, layer_scale=True).state_dict()}
    assert with_scale == {'norm1', 'attn', 'norm2', 'mlp', 'gamma1', 'gamma2'}
    assert not [name for name in Block(8, 2).state_dict() if 'gamma' in name]


def test_residual_and_layer_scale():
    block = Block(8, 2, layer_scale=True)
    tokens = torch.randn(2, 6, 8)
    nn.init.zeros_(block.gamma1)
    nn.init.zeros_(block.gamma2)
    assert torch.equal(block(tokens, 2, 3), tokens)
    nn.init.ones_(block.gamma1)
    nn.init.ones_(block.gamma2)
    plain = Block(8, 2)
    plain.load_state_dict({key: value for key, value in block.state_dict().items() if 'gamma' not in key})
    assert torch.equal(block(tokens, 2, 3), plain(tokens, 2, 3))


def test_norms_have_the_epsilon_of_vit():
    assert {module.eps for module in Block(8, 2).modules() if isinstance(module, nn.LayerNorm)} == {1e-6}


def test_stochastic_depth():
    assert not any(isinstance(module, DropPath) for module in Block(8, 2).modules())
    assert Block(8, 2, drop_path=0.25).drop_path.drop_prob == 0.25


def test_recomputed_activations_give_the_same_gradients():
    block = Block(8, 2, window_size=2).double()
    tokens = torch.randn(2, 15, 8, dtype=torch.float64, requires_grad=True)
    gradients = []
    for with_cp in (False, True):
        block.with_cp = with_cp
        loss = block(tokens, 3, 5).square().sum()
        gradients.append(torch.autograd.grad(loss, [tokens, *block.parameters()]))
    assert all(map(torch.equal, *gradients))


@pytest.mark.parametrize(('with_cp', 'requires_grad', 'calls'), [(True, True, 2), (True, False, 1), (False, True, 1)])
def test_recomputes_only_where_there_is_a_backward(with_cp, requires_grad, calls):
    called = []

    def forward(tokens, weight):
        called.append(tokens)
        return tokens * weight

    weight = torch.ones(3, requires_grad=True)
    recompute(forward, torch.ones(3, requires_grad=requires_grad), weight, with_cp=with_cp).sum().backward()
    assert len(called) == calls
