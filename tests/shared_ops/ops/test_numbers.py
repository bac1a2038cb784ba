"""What both operators compute: gradients, every type, layouts, points and values that are out of the ordinary."""

import math

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from support.operators import (
    DTYPES,
    HALF,
    MASKS,
    OPERATORS,
    Operator,
    assert_all_near,
    assert_near,
    assert_operator_agrees_with_reference,
    compute_dtype,
    forward_and_gradients,
    some_gradient,
)

ATTENTION = OPERATORS['ms_deform_attn']


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


def test_explicit_backward_of_the_reference(operator: Operator, device: str) -> None:
    """What serves below autograd gives what autograd gives."""
    arguments = operator.make(device)
    output, *wanted = forward_and_gradients(operator, arguments, operator.reference)
    assert_all_near(operator.reference_backward(some_gradient(output), **vars(arguments)), wanted)


@pytest.mark.parametrize('deterministic', [False, True], ids=['any order', 'deterministic'])
@pytest.mark.parametrize('output_mask', MASKS, ids=str)
def test_gradients_that_nobody_wants(
    output_mask: list[bool], deterministic: bool, operator: Operator, device: str
) -> None:
    """They have no elements, and the others are what they are beside them."""
    arguments = operator.make(device)
    output, *wanted = forward_and_gradients(operator, arguments, operator.reference)
    wanted = [gradient if mask else gradient.new_empty(0) for gradient, mask in zip(wanted, output_mask)]
    grad_output = some_gradient(output)
    assert_all_near(operator.reference_backward(grad_output, **vars(arguments), output_mask=output_mask), wanted)
    flat = operator.flat(arguments)
    assert_all_near(operator.backward_overload(grad_output, *flat, output_mask, deterministic), wanted)


@pytest.mark.parametrize('leaf', [0, 1, 2])
def test_frozen_tensors_get_no_gradient(leaf: int, operator: Operator, device: str, monkeypatch) -> None:
    """Autograd asks for what the leaves require, and for nothing else."""
    arguments = operator.make(device)
    leaves = operator.leaves(arguments)
    leaves[leaf].requires_grad_()
    with _Masks() as asked:
        operator.function(**vars(arguments)).sum().backward()
    assert asked.masks == [[index == leaf for index in range(3)]]
    assert [tensor.grad is not None for tensor in leaves] == asked.masks[0]


class _Masks(TorchDispatchMode):
    """Notes what every backward is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.masks: list[list[bool]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func in {operator.backward_overload for operator in OPERATORS.values()}:
            (position,) = [i for i, a in enumerate(func._schema.arguments) if a.name == 'output_mask']
            self.masks.append(list(args[position]))
        return func(*args, **(kwargs or {}))


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


@pytest.mark.needs_kernels
def test_points_that_are_nowhere_hide_everything(operator: Operator, device: str) -> None:
    """Whatever the values, the weights and the gradient hold. (In plain PyTorch, zero times infinity is NaN.)"""
    arguments = operator.make(device, torch.float32)
    data, where, weight = operator.leaves(arguments)
    data.fill_(math.inf)
    where.fill_(1e30)
    weight.fill_(math.nan)
    flat = operator.flat(arguments)
    output = operator.overload(*flat)
    for result in (output, *operator.backward_overload(torch.full_like(output, math.inf), *flat, MASKS[0])):
        assert (result == 0).all()


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
