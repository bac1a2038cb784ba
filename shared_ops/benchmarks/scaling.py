"""What more threads bring: our kernels with one thread against several, on the CPU."""

from collections.abc import Callable

import torch
from implementations import Ours
from results import rounded
from shapes import Case
from tensors import PRECISIONS, draw
from timing import Settings, compete, on_cpu


def _with_threads(threads: int, call: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        torch.set_num_threads(threads)
        return call()

    return run


def measure_scaling(case: Case, threads: int, settings: Settings) -> list[dict[str, object]]:
    """Time forward and backward, each alone, with one and with ``threads`` threads in turn.

    Returns:
        One entry per direction for the results file; none where there is one thread.
    """
    if threads == 1:
        return []
    tensors = draw(case, 1, 'cpu').to(PRECISIONS['float32'])
    bound = Ours().bind(tensors)
    output = bound.forward()

    def backward() -> object:
        return torch.autograd.grad(output, bound.inputs, tensors.grad_output, retain_graph=True)

    entries = []
    for direction, call in (('forward', bound.infer), ('backward', backward)):
        turns = [on_cpu(_with_threads(number, call)) for number in (1, threads)]
        one, several = compete(turns, settings)
        entries.append(
            {'case': case.name, 'operator': case.operator, 'direction': direction, 'threads': threads,
             'one': rounded(one), 'several': rounded(several)}
        )  # fmt: skip
    torch.set_num_threads(threads)
    return entries
