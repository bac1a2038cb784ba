"""How PyTorch says that memory was not enough."""

import re

import torch

# Where there is no torch.OutOfMemoryError: malloc gave nothing, mmap did not, or CUDA itself has none left.
_SAID = re.compile(r'(?i)out of memory|allocate memory|not enough memory|DefaultCPUAllocator')


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory, of the GPU or of the machine, was not enough."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, (RuntimeError, OSError)) and _SAID.search(str(error)) is not None
