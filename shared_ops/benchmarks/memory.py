"""How much memory a call needs at its peak, and how much the plain form will need, before it is tried."""

import ctypes
import ctypes.util
from collections.abc import Callable
from pathlib import Path

import torch
from shapes import AttentionCase, Case
from tensors import Precision, Tensors

STATUS, CLEAR = Path('/proc/self/status'), Path('/proc/self/clear_refs')


def _status(key: str) -> int:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f'{key}:'):
            return int(line.split()[1]) << 10
    raise RuntimeError(f'{STATUS} has no {key}')


def peak(call: Callable[[], object], tensors: Tensors, device: str) -> int:
    """Return the bytes in use at the peak of ``call``: its inputs, its results and all that it needs in between.

    On the CPU that is the growth of the process' resident memory, whose high-water mark Linux resets on request: it
    counts what the allocator of PyTorch does not see, such as scratch memory of a library. On a GPU it is what
    PyTorch's allocator handed out.

    Raises:
        OSError: this system does not reset the high-water mark.
    """
    call()  # what is allocated once, by libraries and thread pools, is not counted
    if device == 'cuda':
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before + tensors.nbytes()
    # freed memory that malloc has kept would hide as much growth
    ctypes.CDLL(ctypes.util.find_library('c')).malloc_trim(0)
    CLEAR.write_text('5')
    before = _status('VmRSS')
    call()
    return _status('VmHWM') - before + tensors.nbytes()


def plain_need(case: Case, batch: int, precision: Precision, backward: bool) -> int:
    """Return about how many bytes the plain form needs beside its inputs.

    It interpolates all points of a level, or of the kernel, at once: a tensor of as many numbers as there are
    interpolations, in float32, beside the product with the weights, and in the backward the gradients of both. The
    factors are those that :func:`peak` measures, rounded up.
    """
    item = 8 if precision.data == torch.float64 else 4
    interpolations = case.interpolations * batch * item
    if not isinstance(case, AttentionCase):
        return interpolations * (4 if backward else 3)
    level = interpolations // len(case.levels)
    # the samples of every level are kept for the gradient of the weights
    return 4 * level + (interpolations if backward else 0)


def available(device: str) -> int:
    """Return the bytes that are free."""
    if device == 'cuda':
        torch.cuda.empty_cache()  # what PyTorch keeps of earlier calls is free too
        return torch.cuda.mem_get_info()[0]
    for line in Path('/proc/meminfo').read_text().splitlines():
        if line.startswith('MemAvailable:'):
            return int(line.split()[1]) << 10
    raise RuntimeError('/proc/meminfo has no MemAvailable')
