"""The operators as PyTorch's subsystems see them: schema, fake tensors, autograd, compiler, export, autocast."""

import pytest
import torch

from shared_ops._library import SCHEMAS
from support.operators import (
    DTYPES,
    HALF,
    MASKS,
    OPERATORS,
    Operator,
    assert_all_near,
    assert_near,
    compute_dtype,
    forward_and_gradients,
    some_gradient,
)

KEYS = ('CPU', 'CUDA', 'MPS', 'XPU')


@pytest.mark.parametrize('name', SCHEMAS)
def test_both_schemas_are_one(name: str) -> None:
    """The C++ schema of an installation with kernels, and the Python one of those without."""
    expected = torch._C.parse_schema(f'shared_ops::{name}{SCHEMAS[name]}')
    assert str(getattr(torch.ops.shared_ops, name).default._schema) == str(expected)


@pytest.mark.parametrize('requires_grad', [False, True])
@pytest.mark.parametrize('native', [False, True], ids=['computable_points', 'native_points'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_opcheck(dtype: torch.dtype, native: bool, requires_grad: bool, operator: Operator, device: str) -> None:
    points = dtype if native else compute_dtype(dtype)
    arguments = operator.make(device, dtype, points=points, requires_grad=requires_grad)
    tolerance = {'rtol': 2e-2, 'atol': 2e-2} if dtype in HALF else {}
    torch.library.opcheck(operator.overload, operator.flat(arguments), **tolerance)


@pytest.mark.parametrize('native', [False, True], ids=['computable_points', 'native_points'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_opcheck_of_the_backward(dtype: torch.dtype, native: bool, operator: Operator, device: str) -> None:
    arguments = operator.make(device, dtype, points=dtype if native else compute_dtype(dtype))
    grad_output = some_gradient(operator.function(**vars(arguments)))
    for output_mask in (MASKS[0], [False, True, False]):
        torch.library.opcheck(operator.backward_overload, (grad_output, *operator.flat(arguments), output_mask))


def test_there_is_an_implementation_for_every_device() -> None:
    """Plain PyTorch serves where no kernel is loaded; chosen by the dispatcher."""
    for name in SCHEMAS:
        for key in KEYS:
            assert torch._C._dispatch_has_computed_kernel_for_dispatch_key(f'shared_ops::{name}', key)


@pytest.mark.needs_kernels
def test_kernels_are_what_runs() -> None:
    for name in SCHEMAS:
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f'shared_ops::{name}', 'CPU')


@pytest.mark.needs_kernels
def test_direct_calls_of_the_attention_are_kept_inside_of_the_tensors() -> None:
    """Whoever calls the operator past the public function gets an error, not another's memory."""
    attention = OPERATORS['ms_deform_attn']
    value, sizes, starts, locations, weights = attention.flat(attention.make())
    for wrong in [
        (value, [60, 80, 1, 9], starts, locations, weights),
        (value, sizes, [0, 49], locations, weights),
        (value, sizes, [-1, 48], locations, weights),
        (value, sizes, [0], locations, weights),
        (value, [1 << 32, 1 << 32, 1, 9], starts, locations, weights),
        (value[:1], sizes, starts, locations, weights),
        (value, sizes, starts, locations[:, :, :, :1], weights),
        (value, sizes, starts, locations, weights[..., :3]),
        (value, sizes, starts, locations.float(), weights),
        (value.half(), sizes, starts, locations.half(), weights.float()),
        (value.half(), sizes, starts, locations.bfloat16(), weights.bfloat16()),
        (value.int(), sizes, starts, locations.float(), weights.float()),
    ]:
        with pytest.raises(RuntimeError, match='ms_deform_attn'):
            attention.overload(*wrong)
    with pytest.raises(RuntimeError, match='the gradient must have'):
        attention.backward_overload(value, value, sizes, starts, locations, weights, MASKS[0])


@pytest.mark.needs_kernels
def test_direct_calls_of_the_convolution_are_kept_inside_of_the_tensors() -> None:
    convolution = OPERATORS['dcnv3']
    right = convolution.flat(convolution.make())
    image, offset, mask, *_ = right
    for position, wrong in [
        (0, image[0]), (0, image[:1]), (0, image[:, :3]), (0, image.int()), (0, image[..., :14]),
        (1, offset[:1]), (1, offset[..., :-2]), (1, offset.float()), (1, offset[:, :-1]),
        (2, mask[:, :, :-1]), (2, mask.float()), (2, mask[..., 0]),
        (3, [3, 3]), (3, [3]), (3, [0, 2]), (3, [1 << 32, 1 << 32]), (3, [3, 2, 1]),
        (4, [0, 1]), (4, [1, 1]), (5, [-1, 2]), (5, [2, 2]), (6, [0, 1]), (6, [1, 2]), (6, [1 << 62, 1]),
        (7, 4), (7, 0), (7, -3),
    ]:  # fmt: skip
        arguments = [*right[:position], wrong, *right[position + 1 :]]
        with pytest.raises(RuntimeError, match='dcnv3'):
            convolution.overload(*arguments)
    with pytest.raises(RuntimeError, match='the gradient must have'):
        convolution.backward_overload(image, *right, MASKS[0])


@pytest.mark.parametrize('native', [False, True], ids=['computable_points', 'native_points'])
def test_compile_with_gradient(native: bool, operator: Operator, device: str) -> None:
    dtype = torch.bfloat16 if native else torch.float32
    arguments = operator.make(device, dtype, points=dtype)
    compiled = torch.compile(operator.function, fullgraph=True, backend='aot_eager')
    got = forward_and_gradients(operator, arguments, compiled)
    assert_all_near(got, forward_and_gradients(operator, arguments))


@pytest.mark.parametrize('half', HALF, ids=str)
def test_autocast_keeps_the_data_and_brings_points_to_one_type(
    half: torch.dtype, operator: Operator, device: str
) -> None:
    arguments = operator.make(device, half, points=half)
    data, where, weight = operator.leaves(arguments)
    native = operator.function(**vars(arguments))
    widened = operator.function(**vars(operator.replaced(arguments, (data, where.float(), weight.float()))))
    single = operator.function(**vars(operator.converted(arguments, torch.float32)))
    with torch.autocast(device, half):
        for leaves, wanted in [
            ((data, where, weight), native),
            ((data, where.float(), weight.float()), widened),
            ((data, where.float(), weight), widened),
            ((data, where, weight.float()), widened),
            ((data.float(), where, weight), single),
            ((data.float(), where, weight.float()), single),
        ]:
            mixed = operator.replaced(arguments, leaves)
            for output in (operator.function(**vars(mixed)), operator.overload(*operator.flat(mixed))):
                assert output.dtype == leaves[0].dtype
                assert torch.equal(output, wanted)


@pytest.mark.parametrize('half', HALF, ids=str)
def test_gradients_under_autocast_come_in_the_types_of_their_tensors(half: torch.dtype, operator, device: str) -> None:
    arguments = operator.make(device, torch.float32, requires_grad=True)
    data, where, weight = operator.leaves(arguments)
    with torch.autocast(device, half):
        mixed = operator.replaced(arguments, (data, where.to(half), weight))
        output = operator.function(**vars(mixed))
    output.backward(some_gradient(output))
    rounded = operator.replaced(arguments, (data, where.to(half).float(), weight))
    wanted = forward_and_gradients(operator, rounded)
    assert_near(output, wanted[0])
    for leaf, gradient in zip(operator.leaves(arguments), wanted[1:]):
        assert_near(leaf.grad, gradient, half)
