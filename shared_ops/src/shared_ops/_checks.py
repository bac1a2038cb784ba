"""What the operators refuse, said in terms of the arguments."""

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .errors import InputError

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def integer(name: str, number: Any) -> int:
    """Return ``number`` as a Python integer.

    Raises:
        ValueError: it is none.
    """
    # SymInt is an integer that torch.compile has not fixed yet; index() would fix it
    if isinstance(number, (int, torch.SymInt)):
        return number  # type: ignore[return-value]
    try:
        return operator.index(number)
    except TypeError:
        raise InputError(f'{name} must hold integers, not {number!r}') from None


def _read_back(name: str, tensor: Tensor, shape: str, dim: int) -> list[Any]:
    if tensor.dim() != dim or tensor.is_floating_point() or (dim == 2 and tensor.shape[1] != 2):
        raise InputError(
            f'{name} must be an integer tensor {shape} or Python integers, '
            f'not a {tensor.dtype} tensor of shape {list(tensor.shape)}'
        )
    numbers: list[Any] = tensor.tolist()
    return numbers


def pairs(name: str, sizes: Sequence[tuple[int, int]] | Tensor) -> list[tuple[int, int]]:
    """Return ``sizes`` as a list of Python pairs (h, w).

    Raises:
        ValueError: they are no pairs of integers, or there are none.
    """
    if isinstance(sizes, Tensor):
        sizes = _read_back(name, sizes, '[L, 2]', 2)
    result = []
    for size in sizes:
        if not hasattr(size, '__len__') or len(size) != 2:
            raise InputError(f'{name} must hold a pair (h, w) for every level, not {size!r}')
        height, width = integer(name, size[0]), integer(name, size[1])
        result.append((height, width))
    if not result:
        raise InputError(f'{name} is empty, but at least one level is needed')
    return result


def integers(name: str, numbers: Sequence[int] | Tensor) -> list[int]:
    """Return ``numbers`` as a list of Python integers.

    Raises:
        ValueError: they are no integers.
    """
    if isinstance(numbers, Tensor):
        numbers = _read_back(name, numbers, '[L]', 1)
    return [integer(name, number) for number in numbers]


def _check_levels(positions: int, shapes: list[tuple[int, int]], starts: list[int]) -> None:
    if len(starts) != len(shapes):
        raise InputError(
            f'level_start_index has {len(starts)} entries, but spatial_shapes has {len(shapes)} levels: give one each'
        )
    if torch.compiler.is_compiling():
        _check_levels_when_run(positions, shapes, starts)
        return
    for height, width in shapes:
        if height < 1 or width < 1:
            raise InputError(
                f'spatial_shapes holds ({height}, {width}), but a level has at least one row and one column'
            )
    covered = sum(height * width for height, width in shapes)
    if covered != positions:
        raise InputError(
            f'spatial_shapes cover {covered} positions but value has {positions}: '
            'value must hold all levels one after another, with h*w positions each'
        )
    for start, (height, width) in zip(starts, shapes):
        if start < 0 or start + height * width > positions:
            raise InputError(
                f'level_start_index holds {start}, but a level of {height}x{width} that starts there does not lie '
                f'within the {positions} positions of value: it must be the sum of h*w of the levels before'
            )


def _check_levels_when_run(positions: int, shapes: list[tuple[int, int]], starts: list[int]) -> None:
    """Check the same in a graph, when it runs: numbers that come as tensors are not known before.

    Without messages of our own: torch.export in strict mode stops at them.
    """
    torch._check_value(sum(height * width for height, width in shapes) == positions)
    for start, (height, width) in zip(starts, shapes):
        torch._check_value(height >= 1)
        torch._check_value(width >= 1)
        torch._check_value(start >= 0)
        torch._check_value(start + height * width <= positions)


def check_ms_deform_attn(
    value: Tensor,
    shapes: list[tuple[int, int]],
    starts: list[int],
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> None:
    """Refuse arguments of ``ms_deform_attn`` that do not fit together.

    Raises:
        ValueError: as the message says.
    """
    if value.dim() != 4:
        raise InputError(f'value must be [N, S, M, D], but has shape {list(value.shape)}: split the channels by heads')
    N, S, M, D = value.shape
    if M < 1 or D < 1:
        raise InputError(f'value has shape {list(value.shape)}, but needs at least one head and one channel per head')
    _check_levels(S, shapes, starts)

    L = len(shapes)
    if sampling_locations.dim() != 6 or sampling_locations.shape[5] != 2:
        raise InputError(
            f'sampling_locations must be [N, Lq, M, L, P, 2], but has shape {list(sampling_locations.shape)}'
        )
    Lq, P = sampling_locations.shape[1], sampling_locations.shape[4]
    if sampling_locations.shape != (N, Lq, M, L, P, 2):
        raise InputError(
            f'sampling_locations has shape {list(sampling_locations.shape)}, but value of shape {list(value.shape)} '
            f'and {L} spatial_shapes ask for [{N}, Lq, {M}, {L}, P, 2]'
        )
    if P < 1:
        raise InputError('sampling_locations has no points: it must be [N, Lq, M, L, P, 2] with P at least 1')
    if attention_weights.shape != (N, Lq, M, L, P):
        raise InputError(
            f'attention_weights has shape {list(attention_weights.shape)}, but sampling_locations ask for '
            f'[{N}, {Lq}, {M}, {L}, {P}], one weight per point'
        )
    check_types('value', value, sampling_locations=sampling_locations, attention_weights=attention_weights)


def check_types(data_name: str, data: Tensor, **others: Tensor) -> None:
    """Refuse data and points whose types or devices differ more than an operator can bring together.

    Raises:
        ValueError: as the message says.
    """
    if data.dtype not in DTYPES:
        names = ', '.join(str(dtype) for dtype in DTYPES)
        raise InputError(f'{data_name} is {data.dtype}, but must be one of {names}: convert it first')
    half = data.dtype in (torch.float16, torch.bfloat16)
    for name, tensor in others.items():
        if tensor.device != data.device:
            raise InputError(
                f'{name} is on {tensor.device}, but {data_name} is on {data.device}: move one to the other'
            )
        if tensor.dtype == data.dtype or (half and tensor.dtype == torch.float32):
            continue
        # what autocast has left in different types is brought into one after this check
        if tensor.dtype in DTYPES and torch.is_autocast_enabled(data.device.type):
            continue
        wanted = f'{data.dtype} or torch.float32' if half else f'{data.dtype}'
        raise InputError(f'{name} is {tensor.dtype}, but {data_name} is {data.dtype}: convert {name} to {wanted}')


def check_module_inputs(
    d_model: int,
    n_levels: int,
    query: Tensor,
    reference_points: Tensor,
    value: Tensor,
    shapes: list[tuple[int, int]],
    padding_mask: Tensor | None,
) -> None:
    """Refuse arguments of ``MSDeformAttn.forward`` that do not fit together or the module.

    Raises:
        ValueError: as the message says.
    """
    for name, tensor, length in [('query', query, 'Lq'), ('value', value, 'S')]:
        if tensor.dim() != 3 or tensor.shape[2] != d_model:
            raise InputError(
                f'{name} must be [N, {length}, {d_model}], the module having d_model={d_model}, '
                f'but has shape {list(tensor.shape)}'
            )
    N, Lq, _ = query.shape
    if value.shape[0] != N:
        raise InputError(f'value has a batch of {value.shape[0]}, but query has one of {N}: they must be equal')
    if len(shapes) != n_levels:
        raise InputError(f'spatial_shapes has {len(shapes)} levels, but the module was built with n_levels={n_levels}')
    points = reference_points.shape
    if (
        len(points) != 4
        or points[0] not in (1, N)
        or points[1] != Lq
        or points[2] not in (1, n_levels)
        or points[3] not in (2, 4)
    ):
        raise InputError(
            f'reference_points has shape {list(points)}, but must be [{N} or 1, {Lq}, {n_levels} or 1, 2] for points '
            'or [..., 4] for boxes'
        )
    if padding_mask is not None and (padding_mask.dtype != torch.bool or padding_mask.shape != value.shape[:2]):
        raise InputError(
            f'padding_mask must be a bool tensor {list(value.shape[:2])}, true where value is padding, '
            f'not {padding_mask.dtype} of shape {list(padding_mask.shape)}'
        )
