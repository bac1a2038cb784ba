"""What both operators compute: gradients, every type, every size, points and values that are out of the ordinary."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from support.operators import (
    DTYPES,
    HALF,
    OPERATORS,
    Operator,
    assert_all_near,
    assert_near,
    compute_dtype,
    forward_and_gradients,
    some_gradient,
)

# the vector loops work on 16 (AVX-512), 8 (AVX2) or 1 channel at a time, the CUDA kernels on up to 8 per thread
CHANNELS = (1, 2, 3, 8, 12, 15, 16, 17, 31, 32, 33, 64, 128)
ATTENTION, CONVOLUTION = OPERATORS['ms_deform_attn'], OPERATORS['dcnv3']


@pytest.mark.parametrize('implementation', ['operator', 'reference'])
def test_gradcheck(implementation: str, operator: Operator, device: str) -> None:
    small = {
        'ms_deform_attn': dict(N=2, M=2, D=3, Lq=5, P=1, shapes=((4, 6), (1, 7))),
        'dcnv3': dict(N=2, H=5, W=4, G=2, D=3, kernel_size=(2, 1), padding=(1, 0), dilation=(1, 3)),
    }[operator.name]
    arguments = operator.make(device, **small, requires_grad=True)
    function = operator.implementations[implementation]

    def of_leaves(*leaves: Tensor) -> Tensor:
        return function(**vars(operator.replaced(arguments, leaves)))

    nondeterminism = 1e-12 if device == 'cuda' else 0.0
    assert torch.autograd.gradcheck(of_leaves, operator.leaves(arguments), nondet_tol=nondeterminism)


def assert_operator_agrees_with_reference(operator: Operator, arguments: Any) -> None:
    got = forward_and_gradients(operator, arguments)
    assert_all_near(got, forward_and_gradients(operator, arguments, operator.reference))


sizes = st.integers(1, 6)


@settings(max_examples=60, derandomize=True)
@given(
    N=st.sampled_from([0, 1, 2, 3, 65]),
    M=st.integers(1, 4),
    D=st.sampled_from(CHANNELS),
    Lq=st.sampled_from([0, 1, 2, 5, 7]),
    P=st.integers(1, 5),
    shapes=st.lists(st.tuples(sizes, sizes), min_size=1, max_size=5).map(tuple),
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_attention_of_any_size(**sizes: Any) -> None:
    assert_operator_agrees_with_reference(ATTENTION, ATTENTION.make('cpu', **sizes))


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a convolution whose kernel fits at least once, sizes of every parity, borders beyond the kernel included."""
    pairs = {
        'kernel_size': draw(st.sampled_from([(1, 1), (3, 3), (5, 5), (3, 5), (2, 3), (4, 1), (1, 7)])),
        'stride': (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        'padding': (draw(st.integers(0, 4)), draw(st.integers(0, 4))),
        'dilation': (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
    }
    size = []
    for axis in (0, 1):
        extent = pairs['dilation'][axis] * (pairs['kernel_size'][axis] - 1) + 1
        least = max(1, extent - 2 * pairs['padding'][axis])
        size.append(least + draw(st.sampled_from([0, 1, 2, 4, 6])))
    return pairs | {'H': size[0], 'W': size[1]}


@settings(max_examples=100, derandomize=True)
@given(
    geometry=convolutions(),
    N=st.sampled_from([0, 1, 2, 5]),
    G=st.integers(1, 4),
    D=st.sampled_from(CHANNELS),
    offset_scale=st.sampled_from([1.0, 2.0, 0.5, -1.25]),
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_convolution_of_any_size(geometry: dict[str, Any], **sizes: Any) -> None:
    assert_operator_agrees_with_reference(CONVOLUTION, CONVOLUTION.make('cpu', **geometry, **sizes))


# points that belong to one result, around what a kernel may take at a time
MANY = (15, 16, 17, 31, 33, 127, 128, 129)


@pytest.mark.parametrize('points', MANY)
def test_attention_with_many_points(points: int, device: str) -> None:
    for levels, number in ((1, points), (3, -(-points // 3))):
        shapes = ((5, 7), (3, 2), (1, 4))[:levels]
        arguments = ATTENTION.make(device, N=2, M=1, D=9, Lq=3, P=number, shapes=shapes)
        assert_operator_agrees_with_reference(ATTENTION, arguments)


@pytest.mark.parametrize('points', MANY)
def test_convolution_with_many_points(points: int, device: str) -> None:
    rows = next(rows for rows in (8, 4, 3, 1) if points % rows == 0)
    kernel = (rows, points // rows)
    arguments = CONVOLUTION.make(device, N=1, H=7, W=5, G=2, D=9, kernel_size=kernel, padding=(rows, points // rows))
    assert_operator_agrees_with_reference(CONVOLUTION, arguments)


@pytest.mark.parametrize('count', [15, 16, 17, 255, 257])
def test_many_results(count: int, device: str) -> None:
    """Results that threads share out, around the sizes of their shares."""
    attention = ATTENTION.make(device, torch.float32, N=1, M=2, D=3, Lq=count, P=2)
    assert_operator_agrees_with_reference(ATTENTION, attention)
    row = dict(H=1, W=count, kernel_size=(1, 3), padding=(0, 1), stride=(1, 1), dilation=(1, 1))
    convolution = CONVOLUTION.make(device, torch.float32, N=1, G=2, D=3, **row)
    assert_operator_agrees_with_reference(CONVOLUTION, convolution)


def test_explicit_backward_of_the_reference(operator: Operator, device: str) -> None:
    """What serves below autograd gives what autograd gives."""
    arguments = operator.make(device)
    output, *wanted = forward_and_gradients(operator, arguments, operator.reference)
    assert_all_near(operator.reference_backward(some_gradient(output), **vars(arguments)), wanted)


@pytest.mark.parametrize('native', [False, True], ids=['computable_points', 'native_points'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('implementation', ['operator', 'reference'])
def test_every_type_agrees_with_float64(
    implementation: str, dtype: torch.dtype, native: bool, operator: Operator, device: str
) -> None:
    """Halves are read as they are and computed with in float32, wherever they stand for data or for points."""
    points = dtype if native else compute_dtype(dtype)
    arguments = operator.make(device, dtype, D=17, points=points)
    got = forward_and_gradients(operator, arguments, operator.implementations[implementation])
    assert [tensor.dtype for tensor in got] == [dtype, dtype, points, points]
    exact = operator.converted(operator.converted(arguments, 'cpu'), torch.float64)
    grad_output = some_gradient(got[0]).cpu().double()
    assert_all_near(got, forward_and_gradients(operator, exact, operator.reference, grad_output), dtype)


@pytest.mark.parametrize('half', HALF, ids=str)
def test_points_of_two_types_are_computed_in_float32(half: torch.dtype, operator: Operator, device: str) -> None:
    arguments = operator.make(device, half, points=half)
    data, where, weight = operator.leaves(arguments)
    wanted = operator.function(**vars(operator.replaced(arguments, (data, where.float(), weight.float()))))
    for mixed in ((data, where.float(), weight), (data, where, weight.float())):
        leaves = [leaf.clone().requires_grad_() for leaf in mixed]
        output = operator.function(**vars(operator.replaced(arguments, leaves)))
        assert torch.equal(output, wanted)
        output.backward(some_gradient(output))
        assert [leaf.grad.dtype for leaf in leaves] == [leaf.dtype for leaf in leaves]


@pytest.mark.parametrize('native', [False, True], ids=['computable_points', 'native_points'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('implementation', ['operator', 'reference'])
def test_points_that_are_nowhere(
    implementation: str, dtype: torch.dtype, native: bool, operator: Operator, device: str
) -> None:
    """NaN, infinite and absurd points read nothing, add nothing, and have no gradient."""
    arguments = operator.make(device, dtype, points=dtype if native else None)
    data, where, weight = operator.leaves(arguments)
    somewhere, weightless = where.clone(), weight.clone()
    points, flat = where.reshape(-1, 2), weight.reshape(-1)
    for first, coordinate in enumerate([math.nan, math.inf, -math.inf, 1e30, -1e30, 1e10, -3e9]):
        points[first::11, first % 2] = torch.tensor(coordinate).to(points)
        weightless.view(-1)[first::11] = 0
    assert flat.numel() > 100
    got = forward_and_gradients(operator, arguments, operator.implementations[implementation])
    other = operator.replaced(arguments, (data, somewhere, weightless))
    wanted = forward_and_gradients(operator, other, operator.implementations[implementation])
    assert_all_near(got[:2], wanted[:2])
    nowhere = (weightless == 0).reshape(-1)
    assert (got[2].reshape(-1, 2)[nowhere] == 0).all()
    assert (got[3].reshape(-1)[nowhere] == 0).all()
    assert_near(got[2].reshape(-1, 2)[~nowhere], wanted[2].reshape(-1, 2)[~nowhere])
    assert_near(got[3].reshape(-1)[~nowhere], wanted[3].reshape(-1)[~nowhere])


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_infinite_values_at_the_border_stay_where_they_are(dtype: torch.dtype, operator: Operator, device: str) -> None:
    """A corner that lies outside of the map has no value: not that of the border pixel times a weight of zero."""
    arguments = operator.make(device, dtype, D=19)
    data = operator.leaves(arguments)[0]
    if operator is ATTENTION:
        for start, (height, width) in zip(arguments.level_start_index, arguments.spatial_shapes):
            level = data[:, start : start + height * width].unflatten(1, (height, width))
            level[:, :, [0, -1]] = math.inf
    else:
        data[:, [0, -1]] = math.inf
    got = forward_and_gradients(operator, arguments)
    wanted = forward_and_gradients(operator, arguments, operator.reference)
    for result, truth in zip(got, wanted):
        finite = truth.isfinite()
        assert finite.sum() > 0
        assert_near(result[finite], truth[finite])
    assert not wanted[0].isfinite().all()
    assert got[1].isfinite().all()


def test_negative_zero_and_subnormal_weights(operator: Operator, device: str) -> None:
    arguments = operator.make(device, torch.float32)
    _, _, weight = operator.leaves(arguments)
    weight.view(-1)[::3] = -0.0
    weight.view(-1)[1::3] = 1e-40
    assert_operator_agrees_with_reference(operator, arguments)


def strided(tensor: Tensor) -> Tensor:
    """Return the same numbers, laid out so that neighbours in the last dimension are not neighbours in memory."""
    return torch.stack([tensor, torch.zeros_like(tensor)], -1)[..., 0]


def misaligned(tensor: Tensor) -> Tensor:
    """Return the same numbers, one element after where the storage starts: never at a multiple of 16 bytes."""
    storage = tensor.new_zeros(tensor.numel() + 1)
    return storage[1:].view(tensor.shape).copy_(tensor)


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize('D', [5, 16])
@pytest.mark.parametrize('layout', [strided, misaligned, lambda t: t.transpose(0, -1).contiguous().transpose(0, -1)])
def test_layout_in_memory_is_of_no_consequence(layout, D: int, dtype: torch.dtype, operator, device: str) -> None:
    arguments = operator.make(device, dtype, D=D)
    wanted = forward_and_gradients(operator, arguments)
    other = operator.replaced(arguments, map(layout, operator.leaves(arguments)))
    for leaf in operator.leaves(other):
        assert not leaf.is_contiguous() or leaf.storage_offset() == 1
    got = forward_and_gradients(operator, other, grad_output=layout(some_gradient(wanted[0])))
    assert_all_near(got, wanted)


def test_expanded_gradient(operator: Operator, device: str) -> None:
    """``output.sum().backward()`` gives one number with strides of zero."""
    arguments = operator.make(device)
    output = operator.function(**vars(arguments))
    ones = torch.ones_like(output)
    got = forward_and_gradients(operator, arguments, grad_output=ones[:1, :1, :1].expand(output.shape))
    assert_all_near(got, forward_and_gradients(operator, arguments, operator.reference, ones))


def test_inputs_are_left_alone(operator: Operator, device: str) -> None:
    arguments = operator.make(device)
    before = [leaf.clone() for leaf in operator.leaves(arguments)]
    forward_and_gradients(operator, arguments)
    assert all(map(torch.equal, operator.leaves(arguments), before))


@pytest.mark.parametrize('implementation', ['operator', 'reference'])
@pytest.mark.parametrize('sizes', [{'N': 0}, {'Lq': 0}, {'N': 0, 'Lq': 0}], ids=str)
def test_empty(sizes: dict[str, int], implementation: str, operator: Operator, device: str) -> None:
    if operator is CONVOLUTION:
        # which has no result only if it has no batch
        sizes = {'N': 0}
    arguments = operator.make(device, **sizes)
    output, *gradients = forward_and_gradients(operator, arguments, operator.implementations[implementation])
    assert output.numel() == 0
    for gradient, leaf in zip(gradients, operator.leaves(arguments)):
        assert gradient.shape == leaf.shape
        assert (gradient == 0).all()


def test_only_what_is_asked_for_gets_a_gradient(operator: Operator, device: str) -> None:
    arguments = operator.make(device)
    output, *gradients = forward_and_gradients(operator, arguments)
    for name, wanted in zip(operator.tensors, gradients):
        leaf = getattr(arguments, name).clone().requires_grad_()
        again = operator.function(**(vars(arguments) | {name: leaf}))
        (gradient,) = torch.autograd.grad(again, leaf, some_gradient(output))
        assert_near(gradient, wanted)


@pytest.mark.parametrize('native', [False, True], ids=['computable_points', 'native_points'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('N', [1, 3])
def test_any_number_of_threads_gives_the_same_bits(
    N: int, dtype: torch.dtype, native: bool, operator: Operator, threads
) -> None:
    large = {
        'ms_deform_attn': dict(M=3, Lq=211, P=4, shapes=((20, 31), (11, 7))),
        'dcnv3': dict(H=41, W=29, stride=(1, 1), kernel_size=(3, 3)),
    }[operator.name]
    arguments = operator.make('cpu', dtype, N=N, D=19, points=dtype if native else None, **large)
    results = []
    for count in (1, 2, 3, 8):
        threads(count)
        results.append(forward_and_gradients(operator, arguments))
    for other in results[1:]:
        assert all(map(torch.equal, results[0], other))


def test_deterministic_algorithms_change_nothing_on_the_cpu(operator: Operator) -> None:
    arguments = operator.make('cpu', torch.float32)
    wanted = forward_and_gradients(operator, arguments)
    torch.use_deterministic_algorithms(True)
    try:
        got = forward_and_gradients(operator, arguments)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(map(torch.equal, got, wanted))


def test_second_derivative_is_refused(operator: Operator) -> None:
    arguments = operator.make(requires_grad=True)
    output = operator.function(**vars(arguments))
    (gradient,) = torch.autograd.grad(output.sum(), operator.leaves(arguments)[0], create_graph=True)
    with pytest.raises(RuntimeError, match=f'{operator.name} has no second derivative'):
        gradient.sum().backward()
