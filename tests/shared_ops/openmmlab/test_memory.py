"""Want of memory is told from other failures, whoever says it."""

import errno
import os

import pytest
import torch

from shared_ops.errors import InputError
from shared_ops.openmmlab.memory import is_out_of_memory


@pytest.mark.parametrize(
    'error',
    [
        torch.OutOfMemoryError('no more'),
        MemoryError(),
        RuntimeError('CUDA error: out of memory'),
        RuntimeError("[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory"),
        RuntimeError('[enforce fail at alloc_cpu.cpp:81] data. DefaultCPUAllocator: not enough memory'),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    ],
)
def test_want_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)


def test_what_pytorch_says_here() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize(
    'error', [RuntimeError('shapes differ'), InputError('out of memory'), OSError(errno.ENOSPC, 'no space left')]
)
def test_other_failures(error: Exception) -> None:
    assert not is_out_of_memory(error)
