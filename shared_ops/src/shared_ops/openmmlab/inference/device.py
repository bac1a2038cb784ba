"""The device that a model runs on, and the types that it may compute in there."""

from __future__ import annotations

import torch

from ...errors import InputError
from ..messages import first_line


def choose_device(name: str | None) -> torch.device:
    """Return the device of that name.

    Args:
        name: for PyTorch, such as ``'cpu'`` or ``'cuda:1'`` (default: ``'cuda'`` where there is one, else ``'cpu'``).

    Raises:
        ValueError: there is no such device here.
    """
    if name is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        chosen = torch.device(name)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f'device {name!r} cannot be used here: {first_line(error)}; --device cpu can') from error
    return chosen


def check_precision(amp: torch.dtype | None, device: torch.device) -> None:
    """Check that a model can compute in a type on a device.

    Args:
        amp: type of mixed precision, or None for float32.
        device: where the model runs.

    Raises:
        ValueError: the type is another than bfloat16, or the device cannot compute in it.
    """
    if amp is None:
        return
    if amp is torch.float16:
        raise InputError(
            'amp is float16, whose numbers end at 65504; beyond, a score is infinite and its pixel is lost. Use '
            'bfloat16, which has the range of float32, or float32'
        )
    if amp is not torch.bfloat16:
        raise InputError(f'amp is {amp}; it can be bfloat16, or None for float32')
    try:
        torch.autocast(device.type, amp)
    except RuntimeError as error:
        raise InputError(f'device {device} cannot compute in bfloat16: {first_line(error)}; use float32') from error
