"""Arguments of the deformable operators, and what the tests of both do with them.

Sizes are pairwise different, so that no two dimensions can be swapped, and many points lie outside of the maps.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

import shared_ops
from shared_ops._sampling import compute_dtype

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
HALF = (torch.float16, torch.bfloat16)
# Which of the three gradients may be wanted.
MASKS = [list(mask) for mask in itertools.product([True, False], repeat=3)]

# Largest difference over largest value. Measured over all cases: 2e-15 in float64 and 1e-6 in float32, from the order
# of the sums; 6e-4 in float16 and 6e-3 in bfloat16, which is what rounding the values and the result costs (the
# types resolve 2^-11 and 2^-8), since all sums are float32.
TOLERANCES = {torch.float64: 1e-13, torch.float32: 5e-6, torch.float16: 2e-3, torch.bfloat16: 2e-2}


def _arguments(
    tensors: dict[str, Tensor], device: str, dtype: torch.dtype, points: torch.dtype | None, requires_grad: bool
) -> SimpleNamespace:
    types = [dtype, points or compute_dtype(dtype), points or compute_dtype(dtype)]
    return SimpleNamespace(
        **{
            name: tensor.to(device, kind).requires_grad_(requires_grad)
            for (name, tensor), kind in zip(tensors.items(), types)
        }
    )


def _off_grid(numbers: Tensor, steps: int) -> Tensor:
    """Round so that no point lies on a pixel, or so near that rounding decides from which side it is differentiated."""
    return ((numbers * steps).floor() + 0.5) / steps


def make_ms_deform_attn(
    device: str = 'cpu',
    dtype: torch.dtype = torch.float64,
    N: int = 2,
    M: int = 3,
    D: int = 5,
    Lq: int = 7,
    P: int = 4,
    shapes: tuple[tuple[int, int], ...] = ((6, 8), (1, 9)),
    points: torch.dtype | None = None,
    requires_grad: bool = False,
) -> SimpleNamespace:
    """Draw arguments of ``ms_deform_attn``; locations and weights are of type ``points``, or as good as ``dtype``."""
    L = len(shapes)
    starts = [sum(h * w for h, w in shapes[:level]) for level in range(L)]
    value = torch.randn(N, sum(h * w for h, w in shapes), M, D, dtype=torch.float64)
    locations = _off_grid(torch.rand(N, Lq, M, L, P, 2, dtype=torch.float64) * 1.6 - 0.3, 1024)
    weights = torch.randn(N, Lq, M, L * P, dtype=torch.float64).softmax(-1).reshape(N, Lq, M, L, P)
    tensors = {'value': value, 'sampling_locations': locations, 'attention_weights': weights}
    arguments = _arguments(tensors, device, dtype, points, requires_grad)
    arguments.spatial_shapes, arguments.level_start_index = list(shapes), starts
    return arguments


def output_size(
    size: Iterable[int],
    kernel_size: Iterable[int],
    stride: Iterable[int],
    padding: Iterable[int],
    dilation: Iterable[int],
) -> list[int]:
    """Count by trying where the kernel fits."""
    return [
        len(range(0, n + 2 * around - step * (points - 1), pace))
        for n, points, pace, around, step in zip(size, kernel_size, stride, padding, dilation)
    ]


def make_dcnv3(
    device: str = 'cpu',
    dtype: torch.dtype = torch.float64,
    N: int = 2,
    H: int = 9,
    W: int = 8,
    G: int = 3,
    D: int = 5,
    kernel_size: tuple[int, int] = (3, 2),
    stride: tuple[int, int] = (2, 1),
    padding: tuple[int, int] = (1, 2),
    dilation: tuple[int, int] = (2, 1),
    offset_scale: float = 1.5,
    points: torch.dtype | None = None,
    requires_grad: bool = False,
) -> SimpleNamespace:
    """Draw arguments of ``dcnv3``; offset and mask are of type ``points``, or as good as ``dtype``."""
    Ho, Wo = output_size((H, W), kernel_size, stride, padding, dilation)
    K = kernel_size[0] * kernel_size[1]
    tensors = {
        'input': torch.randn(N, H, W, G * D, dtype=torch.float64),
        'offset': _off_grid(torch.randn(N, Ho, Wo, G * K * 2, dtype=torch.float64) * 2, 64),
        'mask': torch.randn(N, Ho, Wo, G, K, dtype=torch.float64).softmax(-1).reshape(N, Ho, Wo, G * K),
    }
    arguments = _arguments(tensors, device, dtype, points, requires_grad)
    arguments.kernel_size, arguments.stride = kernel_size, stride
    arguments.padding, arguments.dilation = padding, dilation
    arguments.groups, arguments.offset_scale = G, offset_scale
    return arguments


def _flat_ms_deform_attn(a: SimpleNamespace) -> tuple[Any, ...]:
    sizes = [size for shape in a.spatial_shapes for size in shape]
    return a.value, sizes, a.level_start_index, a.sampling_locations, a.attention_weights


def _flat_dcnv3(a: SimpleNamespace) -> tuple[Any, ...]:
    return a.input, a.offset, a.mask, a.kernel_size, a.stride, a.padding, a.dilation, a.groups, a.offset_scale


@dataclass(frozen=True)
class Operator:
    """What the tests know of an operator.

    Args:
        name: in ``torch.ops.shared_ops``.
        tensors: names of the arguments for the data, for where it is sampled (last x, y), and for how much it counts.
        make: draws arguments for the public function, and for the reference.
        flat: turns them into those of the operator.
    """

    name: str
    tensors: tuple[str, str, str]
    make: Callable[..., SimpleNamespace]
    flat: Callable[[SimpleNamespace], tuple[Any, ...]]

    @property
    def function(self) -> Callable[..., Tensor]:
        return getattr(shared_ops, self.name)

    @property
    def reference(self) -> Callable[..., Tensor]:
        return getattr(shared_ops.reference, self.name)

    @property
    def reference_backward(self) -> Callable[..., tuple[Tensor, ...]]:
        return getattr(shared_ops.reference, f'{self.name}_backward')

    @property
    def implementations(self) -> dict[str, Callable[..., Tensor]]:
        return {'operator': self.function, 'reference': self.reference}

    @property
    def overload(self) -> Any:
        return getattr(torch.ops.shared_ops, self.name).default

    @property
    def backward_overload(self) -> Any:
        return getattr(torch.ops.shared_ops, f'_{self.name}_backward').default

    def leaves(self, arguments: SimpleNamespace) -> list[Tensor]:
        return [getattr(arguments, name) for name in self.tensors]

    def replaced(self, arguments: SimpleNamespace, leaves: Iterable[Tensor]) -> SimpleNamespace:
        return SimpleNamespace(**(vars(arguments) | dict(zip(self.tensors, leaves))))

    def converted(self, arguments: SimpleNamespace, *target: Any) -> SimpleNamespace:
        """Return the arguments with copies of all three tensors, in another type or on another device."""
        return self.replaced(arguments, (leaf.detach().to(*target, copy=True) for leaf in self.leaves(arguments)))


OPERATORS = {
    'ms_deform_attn': Operator(
        'ms_deform_attn',
        ('value', 'sampling_locations', 'attention_weights'),
        make_ms_deform_attn,
        _flat_ms_deform_attn,
    ),
    'dcnv3': Operator('dcnv3', ('input', 'offset', 'mask'), make_dcnv3, _flat_dcnv3),
}


def some_gradient(output: Tensor) -> Tensor:
    """Return a gradient of the output that is no constant, and the same for every call."""
    return torch.arange(output.numel(), dtype=torch.float64).mul(0.7).cos().reshape(output.shape).to(output)


def forward_and_gradients(
    operator: Operator,
    arguments: SimpleNamespace,
    function: Callable[..., Tensor] | None = None,
    grad_output: Tensor | None = None,
) -> list[Tensor]:
    """Return the output and the gradients of the three tensors.

    Args:
        operator: whose arguments these are.
        arguments: of ``function``.
        function: the public function if None.
        grad_output: some gradient if None.
    """
    leaves = []
    for leaf in operator.leaves(arguments):
        # not a clone: a test may care for strides and for where the storage starts
        leaves.append(leaf.detach().requires_grad_())
    output = (function or operator.function)(**vars(operator.replaced(arguments, leaves)))
    output.backward(some_gradient(output.detach()) if grad_output is None else grad_output)
    return [output.detach(), *(leaf.grad for leaf in leaves)]


def assert_near(got: Tensor, wanted: Tensor, dtype: torch.dtype | None = None, at_least: float = 1e-12) -> None:
    """Compare with the tolerance of ``dtype``, by default that of ``got``, times the largest value or ``at_least``."""
    assert got.shape == wanted.shape
    if got.numel() == 0:
        return
    difference = (got.detach().double() - wanted.detach().double()).abs().max().item()
    assert difference <= TOLERANCES[dtype or got.dtype] * max(wanted.double().abs().max().item(), at_least)


def assert_all_near(
    got: Iterable[Tensor], wanted: Iterable[Tensor], dtype: torch.dtype | None = None, at_least: float = 1e-12
) -> None:
    for result, truth in zip(got, wanted, strict=True):
        assert_near(result.cpu(), truth.cpu(), dtype, at_least)


def assert_operator_agrees_with_reference(operator: Operator, arguments: SimpleNamespace) -> None:
    """Compare output and gradients of the public function with plain PyTorch."""
    got = forward_and_gradients(operator, arguments)
    # the summands are of order one; a handful of sums may all happen to be small
    assert_all_near(got, forward_and_gradients(operator, arguments, operator.reference), at_least=1.0)
