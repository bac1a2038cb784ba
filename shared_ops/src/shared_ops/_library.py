"""Loads the compiled libraries and knows what runs where.

The libraries lie beside this file: one for the CPU, one for CUDA, because the latter does not load under a PyTorch
without CUDA. Both use PyTorch's stable ABI, so one build serves every PyTorch from 2.10 on.
"""

import ctypes
import functools
import os
import warnings
from pathlib import Path
from typing import Any

import torch

REQUIRE = 'SHARED_OPS_REQUIRE_KERNELS'
HOW_TO_BUILD = (
    'install mmseg-shared-ops from source with SHARED_OPS_BUILD=cpu, or SHARED_OPS_BUILD=cuda where nvcc is, '
    'which says what stops it'
)

# The CPU library defines the same, which a test compares; these are for installations without it.
SCHEMAS = {
    'ms_deform_attn': (
        '(Tensor value, SymInt[] spatial_shapes, SymInt[] level_start_index, Tensor sampling_locations, '
        'Tensor attention_weights) -> Tensor'
    ),
    '_ms_deform_attn_backward': (
        '(Tensor grad_output, Tensor value, SymInt[] spatial_shapes, SymInt[] level_start_index, '
        'Tensor sampling_locations, Tensor attention_weights, bool[3] output_mask, bool deterministic=False) -> '
        '(Tensor, Tensor, Tensor)'
    ),
    'dcnv3': (
        '(Tensor input, Tensor offset, Tensor mask, int[] kernel_size, int[] stride, int[] padding, int[] dilation, '
        'int groups, float offset_scale) -> Tensor'
    ),
    '_dcnv3_backward': (
        '(Tensor grad_output, Tensor input, Tensor offset, Tensor mask, int[] kernel_size, int[] stride, '
        'int[] padding, int[] dilation, int groups, float offset_scale, bool[3] output_mask, '
        'bool deterministic=False) -> (Tensor, Tensor, Tensor)'
    ),
}

# Every operator once more, for devices that the CUDA library has no code for: see csrc/cuda/devices.cuh.
PLAIN = '_plain_{}'

# Registrations from Python live as long as this object.
_torch_library: Any = torch.library  # which is typed in parts only
_torch_ops: Any = torch.ops
registry = _torch_library.Library('shared_ops', 'FRAGMENT')

# Why a type of device has no kernels; None where it has them.
failures: dict[str, str | None] = {}


def library_path(device_type: str) -> Path:
    """Return where the library for ``'cpu'`` or ``'cuda'`` lies, if it was built."""
    return Path(__file__).with_name(f'libshared_ops_{device_type}.so')


def _load(device_type: str) -> str | None:
    """Load one library; return ``None``, or why it was not loaded."""
    path = library_path(device_type)
    if not path.is_file():
        return f'{path.name} was not built'
    if device_type == 'cuda' and torch.version.cuda is None:
        return f'PyTorch {torch.__version__} was built without CUDA'
    try:
        _torch_ops.load_library(path)
    except OSError as error:
        # PyTorch says which file, the linker, underneath, says why
        return str(error.__cause__ or error)
    if device_type == 'cuda':
        library = ctypes.CDLL(str(path))
        return driver_problem(library.shared_ops_cuda_runtime(), library.shared_ops_cuda_driver())
    return None


def driver_problem(runtime: int, driver: int) -> str | None:
    """Return why a driver does not serve the CUDA runtime in our library, or ``None`` where it does.

    Args:
        runtime: version of CUDA, 13000 being 13.0.
        driver: the newest version that the driver serves, 0 without a driver.
    """
    # a driver serves every runtime of its major version, and older ones; without a driver there is nothing to serve
    if driver == 0 or driver // 1000 >= runtime // 1000:
        return None
    built, served = (f'{version // 1000}.{version % 1000 // 10}' for version in (runtime, driver))
    return (
        f'{library_path("cuda").name} was built with CUDA {built}, and the driver of this machine serves CUDA '
        f'{served}: update the driver, or build with an nvcc of CUDA {driver // 1000}'
    )


def why_not_served(index: int) -> str | None:
    """Return why the CUDA library does not serve a device, or ``None`` where it does."""
    if failures['cuda'] is not None or ctypes.CDLL(str(library_path('cuda'))).shared_ops_cuda_serves(index):
        return failures['cuda']
    major, minor = torch.cuda.get_device_capability(index)
    name = torch.cuda.get_device_name(index)
    return f'{library_path("cuda").name} has no code for compute capability {major}.{minor}, which {name} has'


def _load_all() -> None:
    # The CPU library comes first: it defines the operators for which the other one has kernels.
    failures['cpu'] = _load('cpu')
    if failures['cpu'] is not None:
        if _required():
            raise ImportError(f'{REQUIRE}=1, but {_explain("cpu")}')
        for name, schema in SCHEMAS.items():
            registry.define(name + schema)
    for name, schema in SCHEMAS.items():
        registry.define(PLAIN.format(name.lstrip('_')) + schema)
    failures['cuda'] = _load('cuda')


def _required() -> bool:
    return os.environ.get(REQUIRE) == '1'


def _explain(device_type: str, index: int = 0) -> str:
    reason = why_not_served(index) if device_type == 'cuda' else failures.get(device_type, 'none are written for it')
    missing = f'the kernels of shared_ops for {device_type} are missing ({reason})'
    return f'{missing}. To get them, {HOW_TO_BUILD}; python -m shared_ops shows what is there'


def kernels_available(device_type: str) -> bool:
    """Say whether the compiled kernels for a type of device are loaded.

    Args:
        device_type: ``'cpu'`` or ``'cuda'``, as in ``torch.device(...).type``.

    Example:
        >>> kernels_available('no such device')
        False
    """
    return failures.get(device_type, '') is None


@functools.cache
def warn_of_reference(device_type: str, index: int = 0) -> None:
    """Warn, once for a device, that plain PyTorch serves instead of kernels.

    Args:
        device_type: as in ``torch.device(...).type``.
        index: which of this type.

    Raises:
        RuntimeError: ``SHARED_OPS_REQUIRE_KERNELS=1`` forbids that.
    """
    if _required():
        raise RuntimeError(f'{REQUIRE}=1, but {_explain(device_type, index)}')
    warnings.warn(
        f'plain PyTorch, which is slower, serves on {device_type}: {_explain(device_type, index)}',
        RuntimeWarning,
        stacklevel=2,
    )


_load_all()
