"""What deformable convolution v3 refuses, said in terms of the arguments."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ._checks import check_types, integer
from .errors import InputError

Pair = int | tuple[int, int]


def pair(name: str, number: Any, at_least: int) -> tuple[int, int]:
    """Return ``number`` as (h, w).

    Raises:
        ValueError: it is neither an integer nor two, or one is less than ``at_least``.
    """
    numbers = tuple(number) if hasattr(number, '__len__') else (number, number)
    if len(numbers) != 2:
        raise InputError(f'{name} must be an integer or a pair (h, w), not {number!r}')
    height, width = integer(name, numbers[0]), integer(name, numbers[1])
    if height < at_least or width < at_least:
        raise InputError(f'{name} is ({height}, {width}), but must be at least {at_least}')
    return height, width


def scale(offset_scale: Any) -> float:
    """Return ``offset_scale`` as a Python float.

    Raises:
        ValueError: it is no number.
    """
    # SymFloat is a number that torch.compile has not fixed yet; float() would fix it
    if isinstance(offset_scale, (float, torch.SymFloat)):
        return offset_scale  # type: ignore[return-value]
    try:
        return float(offset_scale)
    except (TypeError, ValueError):
        raise InputError(f'offset_scale must be a number, not {offset_scale!r}') from None


def output_size(
    size: Sequence[int],
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, int]:
    """Return (Ho, Wo) for an input of ``size`` (H, W); all are pairs (h, w)."""
    height, width = (
        (n + 2 * around - step * (points - 1) - 1) // pace + 1
        for n, points, pace, around, step in zip(size, kernel_size, stride, padding, dilation)
    )
    return height, width


def check_dcnv3(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> None:
    """Refuse arguments of ``dcnv3`` that do not fit together; pairs are (h, w).

    Raises:
        ValueError: as the message says.
    """
    if input.dim() != 4:
        raise InputError(f'input must be [N, H, W, C], but has shape {list(input.shape)}: channels come last')
    N, H, W, C = input.shape
    if H < 1 or W < 1 or C < 1:
        raise InputError(f'input has shape {list(input.shape)}, but needs at least one row, column and channel')
    if integer('groups', groups) < 1 or C % groups:
        raise InputError(f'groups={groups} must divide the {C} channels of input, which comes as [N, H, W, C]')
    Ho, Wo = output_size((H, W), kernel_size, stride, padding, dilation)
    if Ho < 1 or Wo < 1:
        raise InputError(
            f'kernel_size={kernel_size} with dilation={dilation} is larger than the {H}x{W} pixels of input with '
            f'padding={padding}: pad more'
        )
    K = kernel_size[0] * kernel_size[1]
    for name, tensor, per_point in (('offset', offset, 2), ('mask', mask, 1)):
        if tensor.shape != (N, Ho, Wo, groups * K * per_point):
            raise InputError(
                f'{name} has shape {list(tensor.shape)}, but input of shape {list(input.shape)} with '
                f'kernel_size={kernel_size}, stride={stride}, padding={padding}, dilation={dilation} and '
                f'groups={groups} asks for [{N}, {Ho}, {Wo}, {groups}*{K}{"*2" if per_point == 2 else ""}]'
            )
    check_types('input', input, offset=offset, mask=mask)


def check_dcnv3_module(
    channels: int, kernel_size: int, dw_kernel_size: int, stride: int, pad: int, dilation: int, group: int
) -> None:
    """Refuse arguments of ``DCNv3`` with which the module could not work.

    Raises:
        ValueError: as the message says.
    """
    for name, number, at_least in [
        ('channels', channels, 1), ('kernel_size', kernel_size, 1), ('dw_kernel_size', dw_kernel_size, 1),
        ('stride', stride, 1), ('pad', pad, 0), ('dilation', dilation, 1), ('group', group, 1),
    ]:  # fmt: skip
        if not isinstance(number, int) or number < at_least:
            raise InputError(f'{name} must be an integer of at least {at_least}, not {number!r}')
    if channels % group:
        raise InputError(f'group={group} must divide channels={channels}: choose a divisor')
    if dw_kernel_size % 2 == 0:
        raise InputError(
            f'dw_kernel_size={dw_kernel_size} must be odd, for its convolution to keep the size of the input'
        )
    if stride != 1 or 2 * pad != dilation * (kernel_size - 1):
        raise InputError(
            f'stride={stride}, pad={pad}, dilation={dilation} and kernel_size={kernel_size} give a result of another '
            'size than the input, but offsets are predicted for every position of the input: the module needs '
            'stride=1 and 2*pad = dilation*(kernel_size - 1); shared_ops.dcnv3 takes any'
        )
