"""Who computes something else is not timed: every implementation against the float64 reference, gradients included."""

from dataclasses import dataclass

import torch
from implementations import Implementation, Plain
from shapes import Case
from tensors import PRECISIONS, Precision, Tensors, distance_to_kink, draw, reduced
from torch import Tensor

# Largest deviation, relative to the largest value of a tensor. float32: where a point lies is rounded, on maps of
# hundreds of pixels to 1e-5 of one. Halves: the sums are float32, the result is rounded once, to a distance of half a
# unit in the last place, 2^-9 and 2^-12; twice to four times that leaves room for points in half.
TOLERANCES = {
    torch.float64: 1e-10,
    torch.float32: 5e-5,
    torch.float16: 2**-10,
    torch.bfloat16: 2**-7,
}
# Nearer to a kink than this, in pixels, rounding may put a point on its other side: no gradient to compare.
KINK = 1e-3
# The gate computes fewer rows of large maps: float64 in plain PyTorch takes long, and rows do not differ.
INTERPOLATIONS = 4_000_000
NAMES = ('output', 'first gradient', 'second gradient', 'third gradient')


@dataclass(frozen=True)
class Verdict:
    """Largest deviation of an implementation, where it was, and what was allowed."""

    error: float
    tensor: str
    tolerance: float

    @property
    def passed(self) -> bool:
        """NaN does not pass."""
        return self.error <= self.tolerance


def _results(implementation: Implementation, tensors: Tensors) -> list[Tensor]:
    bound = implementation.bind(tensors)
    output = bound.forward()
    gradients = torch.autograd.grad(output, bound.inputs, tensors.grad_output.reshape(output.shape))
    return [output.detach(), *bound.unpack(gradients)]


class Gate:
    """The reference results of one case in one precision, on the very inputs that the implementations get."""

    def __init__(self, case: Case, precision: Precision, device: str) -> None:
        self.tensors = draw(reduced(case, INTERPOLATIONS), 1, device).to(precision)
        self._tolerance = TOLERANCES[precision.data]
        exact = self.tensors.to(PRECISIONS['float64'])
        self._wanted = _results(Plain(), exact)
        self._smooth = distance_to_kink(exact) > KINK

    def judge(self, implementation: Implementation) -> Verdict:
        """Compare output and gradients of one implementation."""
        worst = Verdict(0.0, NAMES[0], self._tolerance)
        for name, found, wanted in zip(NAMES, _results(implementation, self.tensors), self._wanted):
            deviation = found.double().reshape(wanted.shape) - wanted
            if name == 'second gradient':
                deviation = deviation[self._smooth]
                wanted = wanted[self._smooth]
            error = float(deviation.abs().max() / wanted.abs().max())
            if not error <= worst.error:
                worst = Verdict(error, name, self._tolerance)
        return worst
