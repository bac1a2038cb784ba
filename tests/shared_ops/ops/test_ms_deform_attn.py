"""The numbers of ms_deform_attn, as an operator and as plain PyTorch."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import shared_ops
from support.synthetic import sample_positions

REFERENCE = Path(__file__).with_name('reference')
CASES = {case['case']: case for case in json.loads((REFERENCE / 'cases.json').read_text())['cases']}
IMPLEMENTATIONS = {'operator': shared_ops.ms_deform_attn, 'reference': shared_ops.reference.ms_deform_attn}
GRADIENTS = ('grad_value', 'grad_sampling_locations', 'grad_attention_weights')
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)

# Largest difference over largest value. Measured over all cases: 2e-15 in float64 and 1e-6 in float32, from the order
# of the sums; 6e-4 in float16 and 6e-3 in bfloat16, which is what rounding the values and the result costs (the
# types resolve 2^-11 and 2^-8), since all sums are float32.
TOLERANCES = {torch.float64: 1e-13, torch.float32: 5e-6, torch.float16: 2e-3, torch.bfloat16: 2e-2}


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


def forward_and_gradients(function: Callable[..., Tensor], arguments: Any, grad_output: Tensor) -> list[Tensor]:
    tensors = [arguments.value, arguments.sampling_locations, arguments.attention_weights]
    value, locations, weights = (tensor.detach().clone().requires_grad_() for tensor in tensors)
    output = function(value, arguments.spatial_shapes, arguments.level_start_index, locations, weights)
    output.backward(grad_output)
    return [output.detach(), value.grad, locations.grad, weights.grad]


def assert_near(got: Tensor, wanted: Tensor, dtype: torch.dtype | None = None) -> None:
    assert got.shape == wanted.shape
    if got.numel() == 0:
        return
    difference = (got.detach().double() - wanted.detach().double()).abs().max().item()
    assert difference <= TOLERANCES[dtype or got.dtype] * max(wanted.double().abs().max().item(), 1e-12)


def draw_case(case: dict[str, Any]) -> list[np.ndarray]:
    """Draw value, locations, weights and the output's gradient as cases.json says."""
    random = np.random.RandomState(case['seed'])
    N, M, D, P, Lq = (case[letter] for letter in ('N', 'M', 'D', 'P', 'Lq'))
    shapes = case['spatial_shapes']
    value = random.standard_normal((N, sum(h * w for h, w in shapes), M, D))
    location_shape = (N, Lq, M, len(shapes), P, 2)
    rule = case['locations']
    if rule['rule'] == 'normal':
        locations = random.standard_normal(location_shape) * rule['scale'] + rule['shift']
    else:
        drawn = random.randint(0, 1 << 30, location_shape)
        locations = np.empty(location_shape)
        for level, (h, w) in enumerate(shapes):
            for axis, n in enumerate((w, h)):
                centres = [(i + 0.5) / n for i in range(n)]
                table = np.array([*centres, 0, 1, -0.5 / n, 1 + 0.5 / n, -2, 3])
                locations[..., level, :, axis] = table[drawn[..., level, :, axis] % len(table)]
    weights = random.standard_normal((N, Lq, M, len(shapes), P))
    if case['weights'] == 'softmax':
        weights = np.exp(weights) / np.exp(weights).sum((3, 4), keepdims=True)
    return [value, locations, weights, random.standard_normal((N, Lq, M * D))]


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
@pytest.mark.parametrize('name', CASES)
def test_reference_cases(name: str, implementation: str, dtype: torch.dtype, device: str, inputs) -> None:
    """Output and gradients are those of the CUDA kernels that the published checkpoints were trained with."""
    case = CASES[name]
    value, locations, weights, grad_output = (torch.from_numpy(array).to(device) for array in draw_case(case))
    arguments = inputs(shapes=tuple(map(tuple, case['spatial_shapes'])))
    arguments.value = value.to(dtype)
    arguments.sampling_locations = locations.to(compute_dtype(dtype))
    arguments.attention_weights = weights.to(compute_dtype(dtype))
    results = forward_and_gradients(IMPLEMENTATIONS[implementation], arguments, grad_output.to(dtype))
    with np.load(REFERENCE / f'{name}.npz') as stored:
        for key, result in zip(('output', *GRADIENTS), results):
            about = case['outputs'][key]
            assert list(result.shape) == about['shape']
            flat = result.double().cpu().numpy().ravel()
            if about['stored'] != 'full':
                flat = flat[sample_positions(f'{name}.{key}', flat.size, 1024)]
            difference = np.abs(flat - stored[key].ravel()).max() / about['absmax']
            assert difference <= TOLERANCES[dtype], key


def by_definition(arguments: Any) -> Tensor:
    """Equation 3 of https://arxiv.org/abs/2010.04159, one scalar after another."""
    value, locations, weights = (
        tensor.detach().double().cpu().numpy()
        for tensor in (arguments.value, arguments.sampling_locations, arguments.attention_weights)
    )
    N, Lq, M, _, P, _ = locations.shape
    D = value.shape[3]
    output = np.zeros((N, Lq, M * D))

    def pixel(n: int, level: int, row: int, column: int, m: int, d: int) -> float:
        h, w = arguments.spatial_shapes[level]
        if not (0 <= row < h and 0 <= column < w):
            return 0.0
        return value[n, arguments.level_start_index[level] + row * w + column, m, d]

    for n, q, m, d in np.ndindex(N, Lq, M, D):
        for level, (h, w) in enumerate(arguments.spatial_shapes):
            for p in range(P):
                x, y = locations[n, q, m, level, p] * (w, h) - 0.5
                left, top = math.floor(x), math.floor(y)
                for row in (top, top + 1):
                    for column in (left, left + 1):
                        share = (1 - abs(y - row)) * (1 - abs(x - column))
                        sample = share * pixel(n, level, row, column, m, d)
                        output[n, q, m * D + d] += weights[n, q, m, level, p] * sample
    return torch.from_numpy(output)


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
@pytest.mark.parametrize(
    'sizes',
    [
        {},
        {'N': 1, 'M': 1, 'D': 33, 'Lq': 2, 'P': 3},
        {'N': 33, 'M': 2, 'D': 3, 'Lq': 1, 'P': 4, 'shapes': ((5, 2),)},
        {'N': 65, 'M': 1, 'D': 2, 'Lq': 3, 'P': 1, 'shapes': ((1, 1), (2, 3), (4, 1))},
    ],
    ids=['all_different', 'many_channels', 'batch_33', 'batch_65'],
)
def test_definition(implementation: str, sizes: dict[str, Any], device: str, inputs) -> None:
    arguments = inputs(device, **sizes)
    assert_near(IMPLEMENTATIONS[implementation](**vars(arguments)).cpu(), by_definition(arguments))


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
def test_gradcheck(implementation: str, device: str, inputs) -> None:
    arguments = inputs(device, N=2, M=2, D=3, Lq=5, P=1, shapes=((4, 6), (1, 7)), requires_grad=True)

    def function(value: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
        shapes, starts = arguments.spatial_shapes, arguments.level_start_index
        return IMPLEMENTATIONS[implementation](value, shapes, starts, locations, weights)

    tensors = (arguments.value, arguments.sampling_locations, arguments.attention_weights)
    assert torch.autograd.gradcheck(function, tensors, nondet_tol=1e-12 if device == 'cuda' else 0.0)


sizes = st.integers(1, 6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    N=st.integers(1, 65),
    M=st.integers(1, 4),
    D=st.integers(1, 40),
    Lq=st.integers(0, 5),
    P=st.integers(1, 3),
    shapes=st.lists(st.tuples(sizes, sizes), min_size=1, max_size=3).map(tuple),
)
def test_operator_agrees_with_reference(inputs, N, M, D, Lq, P, shapes) -> None:
    arguments = inputs(N=N, M=M, D=D, Lq=Lq, P=P, shapes=shapes)
    grad_output = torch.randn(N, Lq, M * D, dtype=torch.float64)
    results = [forward_and_gradients(function, arguments, grad_output) for function in IMPLEMENTATIONS.values()]
    for operator, reference in zip(*results):
        assert_near(operator, reference)


def test_explicit_backward_of_the_reference(device: str, inputs) -> None:
    """What serves below autograd gives what autograd gives."""
    arguments = inputs(device)
    grad_output = torch.randn(2, 7, 15, dtype=torch.float64, device=device)
    wanted = forward_and_gradients(shared_ops.reference.ms_deform_attn, arguments, grad_output)[1:]
    got = shared_ops.reference.ms_deform_attn_backward(grad_output, **vars(arguments))
    for explicit, automatic in zip(got, wanted):
        assert_near(explicit, automatic)


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_every_type_agrees_with_float64(dtype: torch.dtype, device: str, inputs) -> None:
    arguments = inputs(device, dtype, D=17)
    exact = inputs('cpu', shapes=tuple(arguments.spatial_shapes))
    exact.value = arguments.value.double().cpu()
    exact.sampling_locations = arguments.sampling_locations.double().cpu()
    exact.attention_weights = arguments.attention_weights.double().cpu()
    grad_output = torch.randn(2, 7, 3 * 17).to(dtype)
    got = forward_and_gradients(shared_ops.ms_deform_attn, arguments, grad_output.to(device))
    wanted = forward_and_gradients(shared_ops.ms_deform_attn, exact, grad_output.double())
    assert [tensor.dtype for tensor in got] == [dtype, dtype, *[compute_dtype(dtype)] * 2]
    for result, truth in zip(got, wanted):
        assert_near(result.cpu(), truth, dtype)


def test_half_locations_are_widened(device: str, inputs) -> None:
    arguments = inputs(device, torch.bfloat16)
    arguments.sampling_locations = arguments.sampling_locations.bfloat16().requires_grad_()
    wanted = vars(arguments) | {'sampling_locations': arguments.sampling_locations.float()}
    got = shared_ops.ms_deform_attn(**vars(arguments))
    assert torch.equal(got, shared_ops.ms_deform_attn(**wanted))
    got.sum().backward()
    assert arguments.sampling_locations.grad.dtype == torch.bfloat16


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_points_that_are_nowhere(dtype: torch.dtype, device: str, inputs) -> None:
    """NaN, infinite and absurd locations read nothing, add nothing, and have no gradient."""
    for function in IMPLEMENTATIONS.values():
        arguments = inputs(device, dtype)
        nowhere = [math.nan, math.inf, -math.inf, 1e30, -1e30, 1e10, -3e9]
        for query, coordinate in enumerate(nowhere):
            arguments.sampling_locations[:, query, :, :, 1, query % 2] = coordinate
        weightless = inputs(device, dtype)
        weightless.value = arguments.value
        weightless.sampling_locations = arguments.sampling_locations.clone()
        weightless.sampling_locations[:, :, :, :, 1] = 0.5
        weightless.attention_weights = arguments.attention_weights.clone()
        weightless.attention_weights[:, :, :, :, 1] = 0
        grad_output = torch.randn(2, 7, 15, device=device).to(dtype)
        got = forward_and_gradients(function, arguments, grad_output)
        wanted = forward_and_gradients(function, weightless, grad_output)
        assert_near(got[0], wanted[0])
        assert_near(got[1], wanted[1])
        assert (got[2][:, :, :, :, 1] == 0).all()
        assert (got[3][:, :, :, :, 1] == 0).all()


def test_what_lies_outside_of_a_level_is_not_read(inputs) -> None:
    """Neither the neighbouring level nor the next head leaks in: they are NaN here."""
    arguments = inputs(shapes=((3, 4), (2, 5), (1, 7)))
    arguments.value[:, :12] = math.nan
    arguments.value[:, 22:] = math.nan
    arguments.value[:, :, 1] = math.nan
    for level in (0, 2):
        arguments.sampling_locations[:, :, :, level] = -9.0
    for function in IMPLEMENTATIONS.values():
        output = function(**vars(arguments)).reshape(2, 7, 3, 5)
        assert output[:, :, [0, 2]].isfinite().all()


def test_non_contiguous(device: str, inputs) -> None:
    arguments = inputs(device)
    strided = inputs(device)
    strided.value = arguments.value.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    padded = torch.stack([arguments.attention_weights, torch.zeros_like(arguments.attention_weights)], 1)
    strided.sampling_locations = torch.stack([arguments.sampling_locations] * 2, -1)[..., 1]
    strided.attention_weights = padded[:, 0]
    assert not strided.value.is_contiguous()
    assert not strided.sampling_locations.is_contiguous()
    assert not strided.attention_weights.is_contiguous()
    grad_output = torch.randn(15, 7, 2, dtype=torch.float64, device=device)
    wanted = forward_and_gradients(shared_ops.ms_deform_attn, arguments, grad_output.permute(2, 1, 0).contiguous())
    got = forward_and_gradients(shared_ops.ms_deform_attn, strided, grad_output.permute(2, 1, 0))
    for result, truth in zip(got, wanted):
        assert_near(result, truth)


@pytest.mark.parametrize('sizes', [{'N': 0}, {'Lq': 0}, {'N': 0, 'Lq': 0}], ids=str)
def test_empty(sizes: dict[str, int], device: str, inputs) -> None:
    arguments = inputs(device, **sizes)
    N, Lq = sizes.get('N', 2), sizes.get('Lq', 7)
    grad_output = torch.zeros(N, Lq, 15, dtype=torch.float64, device=device)
    for function in IMPLEMENTATIONS.values():
        output, *gradients = forward_and_gradients(function, arguments, grad_output)
        assert output.shape == (N, Lq, 15)
        assert all((gradient == 0).all() for gradient in gradients)


def test_tensors_may_give_the_layout(device: str, inputs) -> None:
    """The ecosystem passes spatial_shapes and level_start_index as tensors."""
    arguments = inputs(device)
    wanted = shared_ops.ms_deform_attn(**vars(arguments))
    arguments.spatial_shapes = torch.tensor(arguments.spatial_shapes, device=device)
    arguments.level_start_index = torch.tensor(arguments.level_start_index, device=device)
    assert torch.equal(shared_ops.ms_deform_attn(**vars(arguments)), wanted)
    arguments.spatial_shapes = np.array([(6, 8), (1, 9)])
    assert torch.equal(shared_ops.ms_deform_attn(**vars(arguments)), wanted)


def test_levels_may_overlap(inputs) -> None:
    """level_start_index is believed, as long as every level lies within value."""
    arguments = inputs()
    arguments.level_start_index = [9, 5]
    grad_output = torch.randn(2, 7, 15, dtype=torch.float64)
    operator, reference = (
        forward_and_gradients(function, arguments, grad_output) for function in IMPLEMENTATIONS.values()
    )
    for got, wanted in zip(operator, reference):
        assert_near(got, wanted)


def test_only_what_is_asked_for_gets_a_gradient(device: str, inputs) -> None:
    names = ['value', 'sampling_locations', 'attention_weights']
    grad_output = torch.randn(2, 7, 15, dtype=torch.float64, device=device)
    arguments = inputs(device)
    wanted = dict(zip(names, forward_and_gradients(shared_ops.ms_deform_attn, arguments, grad_output)[1:]))
    for name in names:
        leaf = getattr(arguments, name).clone().requires_grad_()
        output = shared_ops.ms_deform_attn(**(vars(arguments) | {name: leaf}))
        (gradient,) = torch.autograd.grad(output, leaf, grad_output)
        assert_near(gradient, wanted[name])


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
def test_any_number_of_threads_gives_the_same_bits(dtype: torch.dtype, threads, inputs) -> None:
    arguments = inputs('cpu', dtype, N=2, M=3, D=19, Lq=501, P=4, shapes=((20, 31), (11, 7)))
    grad_output = torch.randn(2, 501, 57).to(dtype)
    results = []
    for count in (1, 2, 5):
        threads(count)
        results.append(forward_and_gradients(shared_ops.ms_deform_attn, arguments, grad_output))
    for other in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], other))


def test_second_derivative_is_refused(inputs) -> None:
    arguments = inputs(requires_grad=True)
    output = shared_ops.ms_deform_attn(**vars(arguments))
    (gradient,) = torch.autograd.grad(output.sum(), arguments.value, create_graph=True)
    with pytest.raises(RuntimeError, match='no second derivative'):
        gradient.sum().backward()
