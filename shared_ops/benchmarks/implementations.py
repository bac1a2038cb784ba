"""Everything that is timed, behind one protocol: ours, and plain PyTorch. The peers are in ``peers.py``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from shapes import AttentionCase, Case
from tensors import Precision, Tensors, level_starts
from torch import Tensor

import shared_ops

Gradients = tuple[Tensor, Tensor, Tensor]


def _as_they_are(gradients: Sequence[Tensor]) -> Gradients:
    first, second, third = gradients
    return first, second, third


@dataclass(frozen=True)
class Bound:
    """An implementation with its arguments.

    Attributes:
        forward: computes the output, differentiable by autograd with respect to ``inputs``.
        inputs: the leaves, in the layout that the implementation wants.
        unpack: turns the gradients of ``inputs`` into those of the operator's three tensors.
    """

    forward: Callable[[], Tensor]
    inputs: tuple[Tensor, ...]
    unpack: Callable[[Sequence[Tensor]], Gradients] = _as_they_are

    def infer(self) -> Tensor:
        """Compute the output alone, keeping nothing for a backward."""
        with torch.no_grad():
            return self.forward()

    def differentiate(self, grad_output: Tensor) -> tuple[Tensor, ...]:
        """Compute the output, and through autograd the gradients of ``inputs``."""
        return torch.autograd.grad(self.forward(), self.inputs, grad_output)


class Implementation(Protocol):
    """One way to compute an operator.

    Attributes:
        name: as options and tables say it.
        operators: those that it has.
    """

    name: str
    operators: tuple[str, ...]

    def missing(self, device: str) -> str | None:
        """Return why it cannot run on a type of device here, or ``None`` where it can."""

    def refuses(self, case: Case, batch: int, precision: Precision, device: str) -> str | None:
        """Return why it does not do this, or ``None`` where it does."""

    def bind(self, tensors: Tensors) -> Bound:
        """Prepare everything that a model would not do anew for every call."""


def convolution_arguments(case: Case) -> tuple[object, ...]:
    """Return what follows input, offset and mask in ``dcnv3``."""
    assert not isinstance(case, AttentionCase)
    return [*case.kernel], [1, 1], [1, 1], [1, 1], case.groups, case.offset_scale


class _OfThisPackage:
    """``shared_ops`` itself, or its references: they take the same arguments."""

    def __init__(self, name: str, module: object) -> None:
        self.name = name
        self._module = module
        self.operators = tuple(
            operator for operator in ('ms_deform_attn', 'dcnv3') if callable(getattr(module, operator, None))
        )

    def refuses(self, case: Case, batch: int, precision: Precision, device: str) -> str | None:
        """Refuse nothing."""
        return None

    def bind(self, tensors: Tensors) -> Bound:
        """Give the sizes as Python integers."""
        case = tensors.case
        function = getattr(self._module, case.operator)
        if isinstance(case, AttentionCase):
            shapes, starts = list(case.levels), level_starts(case.levels)
            value, locations, weights = tensors.inputs
            return Bound(lambda: function(value, shapes, starts, locations, weights), tensors.inputs)
        rest = convolution_arguments(case)
        return Bound(lambda: function(*tensors.inputs, *rest), tensors.inputs)


class Ours(_OfThisPackage):
    """The compiled kernels of this package."""

    def __init__(self) -> None:
        super().__init__('shared_ops', shared_ops)

    def missing(self, device: str) -> str | None:
        """Return why the library for ``device`` is not loaded, or ``None`` where it is."""
        return None if shared_ops.kernels_available(device) else f'{shared_ops._library.failures[device]}'


class Plain(_OfThisPackage):
    """PyTorch's ``grid_sample``, a loop over levels, and autograd: what runs where nothing is compiled."""

    def __init__(self) -> None:
        super().__init__('plain PyTorch', shared_ops.reference)

    def missing(self, device: str) -> str | None:
        """Run everywhere."""
        return None
