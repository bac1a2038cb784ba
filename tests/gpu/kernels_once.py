"""Every kernel of the main cases once, in a range that is called what it computes, for a profiler to count in."""

import argparse
import contextlib
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / 'shared_ops' / 'benchmarks'))

from implementations import Ours
from shapes import CASES, SELECTIONS, TINY, Case
from tensors import PRECISIONS, draw


def named(name: str, device: str) -> contextlib.AbstractContextManager[None]:
    """Return a range of NVTX, by which the profiler calls kernels; a CPU has none."""
    return torch.cuda.nvtx.range(name) if device == 'cuda' else contextlib.nullcontext()


def run_once(case: Case, precision: str, device: str) -> None:
    """Run forward and backward of one image."""
    tensors = draw(case, 1, device).to(PRECISIONS[precision])
    bound = Ours().bind(tensors)
    with named(f'{case.name}, {precision}, forward', device):
        output = bound.forward()
    # ranges are those of a thread, so the backward has to stay in this one
    with torch.autograd.set_multithreading_enabled(False), named(f'{case.name}, {precision}, backward', device):
        torch.autograd.grad(output, bound.inputs, tensors.grad_output.reshape(output.shape))


def main() -> None:
    """Run the main cases; on a CPU tiny ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cuda')
    device = parser.parse_args().device
    for case in [CASES[name] for name in SELECTIONS['gpu']] if device == 'cuda' else TINY.values():
        for precision in ('float32', 'bfloat16-points32'):
            run_once(case, precision, device)
            print(case.name, precision, flush=True)


if __name__ == '__main__':
    main()
