"""MSDeformAttn: keys, initial values, reference points, masks, precision."""

import sys

import pytest
import torch

import shared_ops
from shared_ops import MSDeformAttn


def arguments_of(N: int = 2, Lq: int = 5, d_model: int = 12, dtype: torch.dtype = torch.float64) -> dict:
    shapes = [(4, 7), (3, 2)]
    return {
        'query': torch.randn(N, Lq, d_model, dtype=dtype),
        'reference_points': torch.rand(N, Lq, 2, 2, dtype=torch.float64).to(dtype),
        'value': torch.randn(N, 34, d_model, dtype=dtype),
        'spatial_shapes': shapes,
        'level_start_index': [0, 28],
    }


def make_module(dtype: torch.dtype = torch.float64, **options) -> MSDeformAttn:
    module = MSDeformAttn(**({'d_model': 12, 'n_levels': 2, 'n_heads': 3, 'n_points': 4} | options)).to(dtype)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module


@pytest.fixture
def sampled(monkeypatch) -> list[tuple]:
    """What the module hands to the operator, call by call."""
    calls = []
    # the module of that name; the attribute of the package is the function
    file = sys.modules['shared_ops.ms_deform_attn_module']
    operator = file.ms_deform_attn
    monkeypatch.setattr(file, 'ms_deform_attn', lambda *args: calls.append(args) or operator(*args))
    return calls


def test_state_dict_is_the_originals() -> None:
    module = MSDeformAttn(24, n_levels=3, n_heads=4, n_points=5, ratio=0.5)
    assert {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()} == {
        'sampling_offsets.weight': (120, 24),
        'sampling_offsets.bias': (120,),
        'attention_weights.weight': (60, 24),
        'attention_weights.bias': (60,),
        'value_proj.weight': (12, 24),
        'value_proj.bias': (12,),
        'output_proj.weight': (24, 12),
        'output_proj.bias': (24,),
    }
    assert 'd_model=24, n_levels=3, n_heads=4, n_points=5, ratio=0.5' in repr(module)


def test_initial_values() -> None:
    """Eight heads look into the eight directions of the compass; the k-th point lies k pixels away."""
    module = MSDeformAttn(16, n_levels=2, n_heads=8, n_points=3)
    compass = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    offsets = module.sampling_offsets.bias.detach().reshape(8, 2, 3, 2)
    for head, direction in enumerate(compass):
        for point in range(3):
            expected = torch.tensor(direction, dtype=torch.float32).mul(point + 1).expand(2, 2)
            torch.testing.assert_close(offsets[head, :, point], expected, rtol=1e-6, atol=1e-6)
    for key in ('sampling_offsets.weight', 'attention_weights.weight', 'attention_weights.bias'):
        assert (module.state_dict()[key] == 0).all()
    for layer in (module.value_proj, module.output_proj):
        assert (layer.bias == 0).all()
        assert layer.weight.abs().max() <= (6 / 32) ** 0.5
        assert layer.weight.std() > 0.1


def test_reset_parameters_starts_again() -> None:
    module = make_module()
    module._reset_parameters()
    assert (module.attention_weights.weight == 0).all()
    assert module.sampling_offsets.bias.abs().max() == 4


def test_forward_by_hand(sampled) -> None:
    """Offsets are pixels of their level, weights are softmaxed over levels and points together."""
    module, arguments = make_module(), arguments_of()
    output = module(**arguments)
    value, _, _, locations, weights = sampled[0]
    offsets = module.sampling_offsets(arguments['query']).reshape(2, 5, 3, 2, 4, 2)
    for level, (h, w) in enumerate(arguments['spatial_shapes']):
        for axis, size in enumerate((w, h)):
            point = arguments['reference_points'][:, :, None, level, None, axis]
            wanted = point + offsets[:, :, :, level, :, axis] / size
            torch.testing.assert_close(locations[:, :, :, level, :, axis], wanted)
    torch.testing.assert_close(weights.sum((3, 4)), torch.ones(2, 5, 3, dtype=torch.float64))
    torch.testing.assert_close(value, module.value_proj(arguments['value']).reshape(2, 34, 3, 4))
    attended = shared_ops.reference.ms_deform_attn(*sampled[0])
    torch.testing.assert_close(output, module.output_proj(attended))


def test_one_reference_point_serves_all_batches_and_levels() -> None:
    module, arguments = make_module(), arguments_of()
    arguments['reference_points'] = arguments['reference_points'][:1, :, :1]
    output = module(**arguments)
    arguments['reference_points'] = arguments['reference_points'].expand(2, 5, 2, 2)
    torch.testing.assert_close(module(**arguments), output)


def test_boxes(sampled) -> None:
    """Offsets around a box count half boxes divided by the number of points."""
    module, arguments = make_module(), arguments_of()
    boxes = torch.rand(2, 5, 2, 4, dtype=torch.float64)
    module(**(arguments | {'reference_points': boxes}))
    offsets = module.sampling_offsets(arguments['query']).reshape(2, 5, 3, 2, 4, 2)
    centre, size = boxes[:, :, None, :, None, :2], boxes[:, :, None, :, None, 2:]
    torch.testing.assert_close(sampled[0][3], centre + offsets / 4 * size / 2)


def test_padding_counts_as_zero(sampled) -> None:
    module, arguments = make_module(), arguments_of()
    mask = torch.rand(2, 34) < 0.4
    masked = module(**arguments, padding_mask=mask)
    values = sampled[0][0].reshape(2, 34, 12)
    assert (values[mask] == 0).all()
    assert (values[~mask] != 0).any()
    assert (masked - module(**arguments)).abs().max() > 0
    torch.testing.assert_close(module(**arguments, padding_mask=torch.zeros_like(mask)), module(**arguments))


def test_ratio_changes_the_channels_of_the_values(sampled) -> None:
    module = make_module(ratio=0.5)
    assert module(**arguments_of()).shape == (2, 5, 12)
    assert sampled[0][0].shape == (2, 34, 3, 2)


def test_reference_points_keep_their_own_precision(sampled) -> None:
    """float32 points in a float64 model are not rounded further, and give float64 locations."""
    module, arguments = make_module(), arguments_of()
    single = arguments['reference_points'].float()
    torch.testing.assert_close(
        module(**(arguments | {'reference_points': single})),
        module(**(arguments | {'reference_points': single.double()})),
        rtol=0,
        atol=0,
    )
    assert sampled[0][3].dtype == torch.float64


@pytest.mark.parametrize('half', [torch.float16, torch.bfloat16], ids=str)
def test_half_precision(half: torch.dtype, device: str, sampled) -> None:
    """Values are half, but where they are sampled is known to float32: bfloat16 would be off by whole pixels."""
    module = make_module(half).to(device)
    torch.nn.init.zeros_(module.sampling_offsets.weight)
    torch.nn.init.zeros_(module.sampling_offsets.bias)
    shapes = [(3, 700), (1, 2)]
    points = torch.rand(2, 5, 1, 2, device=device)
    output = module(
        torch.randn(2, 5, 12, device=device).to(half),
        points,
        torch.randn(2, 2102, 12, device=device).to(half),
        shapes,
        [0, 2100],
    )
    value, _, _, locations, weights = sampled[0]
    assert [value.dtype, locations.dtype, weights.dtype] == [half, torch.float32, torch.float32]
    assert (locations == points[:, :, None, :, None]).all()
    assert output.dtype == half
    output.float().square().sum().backward()
    assert all(p.grad.dtype == half and p.grad.isfinite().all() for p in module.parameters())


@pytest.mark.parametrize('N, Lq', [(0, 5), (2, 0), (1, 5), (7, 1)])
def test_any_batch_and_number_of_queries(N: int, Lq: int) -> None:
    module = make_module()
    output = module(**arguments_of(N, Lq))
    assert output.shape == (N, Lq, 12)
    output.sum().backward()
    assert module.value_proj.weight.grad is not None


def test_tensors_may_give_the_layout() -> None:
    module, arguments = make_module(), arguments_of()
    wanted = module(**arguments)
    arguments['spatial_shapes'] = torch.tensor(arguments['spatial_shapes'])
    arguments['level_start_index'] = torch.tensor(arguments['level_start_index'])
    torch.testing.assert_close(module(**arguments), wanted, rtol=0, atol=0)


def test_gradients_reach_everything() -> None:
    module, arguments = make_module(), arguments_of()
    leaves = [arguments[name].requires_grad_() for name in ('query', 'reference_points', 'value')]
    module(**arguments).square().sum().backward()
    for tensor in [*leaves, *module.parameters()]:
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().max() > 0


def test_meta_device() -> None:
    """Shapes alone, for tools that build models without memory."""
    with torch.device('meta'):
        module = MSDeformAttn(12, n_levels=2, n_heads=3)
    arguments = {k: v.float().to('meta') if torch.is_tensor(v) else v for k, v in arguments_of().items()}
    assert module(**arguments).shape == (2, 5, 12)
