"""DCNv3: keys, initial values, what it hands to the operator, variants, precision."""

import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import shared_ops
from shared_ops import DCNv3
from support.operators import HALF


def make_module(dtype: torch.dtype = torch.float64, **options) -> DCNv3:
    module = DCNv3(**({'channels': 12, 'group': 3} | options)).to(dtype)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module


@pytest.fixture
def sampled(monkeypatch) -> list[dict]:
    """What the module hands to the operator, call by call."""
    calls = []
    file = sys.modules['shared_ops.dcnv3_module']
    operator = file.dcnv3

    def record(*tensors, **others):
        calls.append({'tensors': tensors} | others)
        return operator(*tensors, **others)

    monkeypatch.setattr(file, 'dcnv3', record)
    return calls


KEYS = {
    'dw_conv.0.weight': (12, 1, 5, 5),
    'dw_conv.0.bias': (12,),
    'dw_conv.1.1.weight': (12,),
    'dw_conv.1.1.bias': (12,),
    'offset.weight': (54, 12),
    'offset.bias': (54,),
    'mask.weight': (27, 12),
    'mask.bias': (27,),
    'input_proj.weight': (12, 12),
    'input_proj.bias': (12,),
    'output_proj.weight': (12, 12),
    'output_proj.bias': (12,),
}


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}


def test_state_dict_is_the_originals() -> None:
    module = DCNv3(12, group=3, dw_kernel_size=5)
    assert list(shapes_of(module).items()) == list(KEYS.items())
    assert 'channels=12, kernel_size=3, pad=1, dilation=1, group=3, offset_scale=1.0' in repr(module)


def test_state_dict_with_center_feature_scale() -> None:
    scale = {'center_feature_scale_proj_weight': (3, 12), 'center_feature_scale_proj_bias': (3,)}
    module = DCNv3(12, group=3, dw_kernel_size=5, center_feature_scale=True)
    assert list(shapes_of(module).items()) == list((scale | KEYS).items())


def test_state_dict_with_batch_norm() -> None:
    keys = shapes_of(DCNv3(12, group=3, kernel_size=5, pad=2, norm_layer='BN'))
    assert keys['dw_conv.0.weight'] == (12, 1, 5, 5)
    assert keys['offset.weight'] == (150, 12)
    norm = {key: shape for key, shape in keys.items() if key.startswith('dw_conv.1')}
    assert norm == {
        'dw_conv.1.0.weight': (12,),
        'dw_conv.1.0.bias': (12,),
        'dw_conv.1.0.running_mean': (12,),
        'dw_conv.1.0.running_var': (12,),
        'dw_conv.1.0.num_batches_tracked': (),
    }


def test_defaults_are_the_originals() -> None:
    module = DCNv3()
    assert (module.channels, module.group, module.kernel_size, module.dw_kernel_size) == (64, 4, 3, 3)
    assert isinstance(module.dw_conv[2], nn.GELU)
    assert module.dw_conv[2].approximate == 'none'
    assert module.dw_conv[1][1].eps == 1e-6
    assert not module.center_feature_scale


def test_initial_values() -> None:
    module = DCNv3(16, center_feature_scale=True)
    for key, tensor in module.state_dict().items():
        if key.startswith(('offset', 'mask', 'center_feature_scale')) or key in ('input_proj.bias', 'output_proj.bias'):
            assert (tensor == 0).all(), key
    for layer in (module.input_proj, module.output_proj):
        assert layer.weight.abs().max() <= (6 / 32) ** 0.5
        assert layer.weight.std() > 0.1


def test_it_starts_as_an_average_around_every_pixel() -> None:
    module = DCNv3(8, group=2).double()
    image = torch.randn(2, 5, 7, 8, dtype=torch.float64)
    projected = module.input_proj(image).permute(0, 3, 1, 2)
    average = F.avg_pool2d(projected, 3, stride=1, padding=1, count_include_pad=True)
    torch.testing.assert_close(module(image), module.output_proj(average.permute(0, 2, 3, 1)))


def test_reset_parameters_starts_again() -> None:
    module = make_module(center_feature_scale=True)
    module._reset_parameters()
    assert (module.offset.weight == 0).all()
    assert (module.center_feature_scale_proj_weight == 0).all()


@pytest.mark.parametrize('norm_layer', ['LN', 'BN'])
@pytest.mark.parametrize(
    ['act_layer', 'activation'], [('GELU', F.gelu), ('ReLU', F.relu), ('SiLU', F.silu)], ids=['GELU', 'ReLU', 'SiLU']
)
def test_forward_by_hand(norm_layer: str, act_layer: str, activation, sampled) -> None:
    module = make_module(dw_kernel_size=5, norm_layer=norm_layer, act_layer=act_layer, offset_scale=0.5)
    image = torch.randn(2, 6, 7, 12, dtype=torch.float64)
    output = module(image)
    (call,) = sampled
    state = module.state_dict()
    features = F.conv2d(
        image.permute(0, 3, 1, 2), state['dw_conv.0.weight'], state['dw_conv.0.bias'], padding=2, groups=12
    )
    axes = {'LN': (1,), 'BN': (0, 2, 3)}[norm_layer]
    place, epsilon = {'LN': (1, 1e-6), 'BN': (0, 1e-5)}[norm_layer]
    mean, variance = features.mean(axes, keepdim=True), features.var(axes, correction=0, keepdim=True)
    features = ((features - mean) / (variance + epsilon).sqrt()).permute(0, 2, 3, 1)
    features = activation(features * state[f'dw_conv.1.{place}.weight'] + state[f'dw_conv.1.{place}.bias'])

    projected, offset, mask = call['tensors']
    torch.testing.assert_close(projected, F.linear(image, state['input_proj.weight'], state['input_proj.bias']))
    torch.testing.assert_close(offset, F.linear(features, state['offset.weight'], state['offset.bias']))
    logits = F.linear(features, state['mask.weight'], state['mask.bias']).reshape(2, 6, 7, 3, 9)
    torch.testing.assert_close(mask.reshape(2, 6, 7, 3, 9), logits.exp() / logits.exp().sum(-1, keepdim=True))
    convolved = shared_ops.dcnv3(projected, offset, mask, 3, 1, 1, 1, 3, 0.5)
    torch.testing.assert_close(output, F.linear(convolved, state['output_proj.weight'], state['output_proj.bias']))


def test_center_feature_scale_mixes_in_the_projected_input(sampled) -> None:
    """Every group has a share of its own, from the features of the depthwise convolution."""
    module = make_module(center_feature_scale=True)
    image = torch.randn(2, 6, 7, 12, dtype=torch.float64)
    output = module(image)
    (call,) = sampled
    projected, offset, mask = call['tensors']
    convolved = shared_ops.dcnv3(projected, offset, mask, 3, 1, 1, 1, 3)
    features = module.dw_conv(image.permute(0, 3, 1, 2))
    weight, bias = module.center_feature_scale_proj_weight, module.center_feature_scale_proj_bias
    share = torch.sigmoid(features @ weight.T + bias).repeat_interleave(4, -1)
    torch.testing.assert_close(output, module.output_proj(convolved * (1 - share) + projected * share))


@pytest.mark.parametrize(
    'options',
    [
        {'kernel_size': 1, 'pad': 0},
        {'kernel_size': 5, 'pad': 4, 'dilation': 2},
        {'kernel_size': 2, 'pad': 1, 'dilation': 2, 'dw_kernel_size': 1},
        {'group': 12},
        {'group': 1, 'offset_scale': -0.5},
    ],
    ids=str,
)
def test_result_has_the_size_of_the_input(options: dict) -> None:
    for size in [(1, 1, 1), (3, 5, 2), (0, 4, 3)]:
        module = make_module(**options)
        image = torch.randn(*size, 12, dtype=torch.float64, requires_grad=True)
        output = module(image)
        assert output.shape == image.shape
        output.sum().backward()
        assert image.grad.isfinite().all()


def test_gradients_reach_everything() -> None:
    module = make_module(center_feature_scale=True)
    image = torch.randn(2, 6, 7, 12, dtype=torch.float64, requires_grad=True)
    module(image).square().sum().backward()
    for tensor in [image, *module.parameters()]:
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().max() > 0


@pytest.mark.parametrize('half', HALF, ids=str)
def test_half_precision(half: torch.dtype, device: str, sampled) -> None:
    """Offsets and masks stay in the model's type, as in the original; they are added to pixels in float32."""
    module = make_module(center_feature_scale=True)
    image = torch.randn(2, 6, 7, 12, dtype=torch.float64)
    wanted = module(image)
    module = module.to(device, half)
    output = module(image.to(device, half))
    assert {tensor.dtype for tensor in sampled[1]['tensors']} == {half}
    assert output.dtype == half
    assert (output.cpu() - wanted).abs().max() < 0.1 * wanted.abs().max()
    output.float().square().sum().backward()
    assert all(p.grad.dtype == half and p.grad.isfinite().all() for p in module.parameters())


def test_meta_device() -> None:
    """Shapes alone, for tools that build models without memory."""
    with torch.device('meta'):
        module = DCNv3(12, group=3, center_feature_scale=True)
        assert module(torch.empty(2, 6, 7, 12)).shape == (2, 6, 7, 12)
