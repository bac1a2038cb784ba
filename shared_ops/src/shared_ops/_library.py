"""Loads the compiled libraries and knows what runs where.

The libraries lie beside this file: one for the CPU, one for CUDA, because the latter does not load under a PyTorch
without CUDA. Both use PyTorch's stable ABI, so one build serves every PyTorch from 2.10 on.
"""

import functools
import os
import warnings
from pathlib import Path

import torch

REQUIRE = 'SHARED_OPS_REQUIRE_KERNELS'
HOW_TO_BUILD = (
    'build it with SHARED_OPS_BUILD=cpu or SHARED_OPS_BUILD=cuda set when pip installs mmseg-shared-ops from source, '
    'and read what the compiler says'
)

# The CPU library defines the same, which a test compares; these are for installations without it.
SCHEMAS = {
    'ms_deform_attn': (
        '(Tensor value, SymInt[] spatial_shapes, SymInt[] level_start_index, Tensor sampling_locations, '
        'Tensor attention_weights) -> Tensor'
    ),
    '_ms_deform_attn_backward': (
        '(Tensor grad_output, Tensor value, SymInt[] spatial_shapes, SymInt[] level_start_index, '
        'Tensor sampling_locations, Tensor attention_weights) -> (Tensor, Tensor, Tensor)'
    ),
}

# Registrations from Python live as long as this object.
registry = torch.library.Library('shared_ops', 'FRAGMENT')


def library_path(device_type: str) -> Path:
    """Return where the library for ``'cpu'`` or ``'cuda'`` lies, if it was built."""
    return Path(__file__).with_name(f'libshared_ops_{device_type}.so')


def _load(device_type: str) -> str | None:
    """Load one library; return ``None``, or why it was not loaded."""
    path = library_path(device_type)
    if not path.is_file():
        return f'{path.name} is not part of this installation'
    try:
        torch.ops.load_library(path)
    except OSError as error:
        return str(error)
    return None


# Why a device type has no kernels; None where it has them. The CPU library comes first: it defines the operators.
failures: dict[str, str | None] = {}


def _load_all() -> None:
    failures['cpu'] = _load('cpu')
    if failures['cpu'] is not None:
        for name, schema in SCHEMAS.items():
            registry.define(name + schema)
    failures['cuda'] = _load('cuda') if torch.version.cuda else f'PyTorch {torch.__version__} has no CUDA'

    required = ['cpu', 'cuda'] if torch.cuda.is_available() else ['cpu']
    missing = [f'{device}: {failures[device]}' for device in required if failures[device] is not None]
    if os.environ.get(REQUIRE) == '1' and missing:
        raise ImportError(f'{REQUIRE}=1, but kernels are missing ({"; ".join(missing)}): {HOW_TO_BUILD}')


_load_all()


def kernels_available(device_type: str) -> bool:
    """Say whether the compiled kernels for a type of device are loaded.

    Args:
        device_type: ``'cpu'`` or ``'cuda'``, as in ``torch.device(...).type``.
    """
    return failures.get(device_type, 'no kernels exist') is None


@functools.cache
def warn_of_reference(device_type: str) -> None:
    """Warn, once for a type of device, that plain PyTorch serves instead of a kernel."""
    reason = failures.get(device_type, 'there are none for this device')
    warnings.warn(
        f'shared_ops runs as plain PyTorch on {device_type}, which is slower, because its kernels are missing: '
        f'{reason}. To have them, {HOW_TO_BUILD}; python -m shared_ops shows what is there.',
        RuntimeWarning,
        stacklevel=2,
    )
