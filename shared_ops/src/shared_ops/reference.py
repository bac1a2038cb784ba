"""The operators in plain PyTorch: written to be read, oracle of the tests, and what runs without compiled kernels.

Every function takes what its operator takes, unchecked. The forwards are differentiable by PyTorch's autograd; the
backwards compute the same gradients explicitly, because an operator's backward runs below autograd.

Shape notation: N batch, S positions summed over levels, Lq queries, L levels, M heads, P points, D channels per head.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type of locations, weights and sums for values of ``dtype``: float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _feature_map(value: Tensor, start: int, height: int, width: int) -> Tensor:
    """Cut one level out of ``value`` ``[N, S, M, D]`` as maps ``[N*M, D, height, width]``."""
    N, _, M, D = value.shape
    level = value[:, start : start + height * width].permute(0, 2, 3, 1)  # [N, M, D, h*w]
    return level.reshape(N * M, D, height, width).to(compute_dtype(value.dtype))


def _sampling_grid(locations: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Turn locations of one level into what ``grid_sample`` takes.

    Args:
        locations: ``[N, Lq, M, P, 2]`` (x, y), the map spans [0, 1].
        height: rows of the map.
        width: columns of the map.

    Returns:
        The grid ``[N*M, Lq, P, 2]``, in which the map spans [-1, 1], and which points count, ``[N*M, Lq, P, 1]``. A
        point counts when it is nearer than one pixel to the map: one that touches it from exactly one pixel away has
        a gradient in ``grid_sample``, but none in the CUDA kernels that published checkpoints were trained with. NaN
        and infinity do not count.
    """
    points = locations.transpose(1, 2).flatten(0, 1)  # [N*M, Lq, P, 2]
    x, y = points.unbind(-1)
    column, row = x * width - 0.5, y * height - 0.5
    counts = ((column > -1) & (column < width) & (row > -1) & (row < height)).unsqueeze(-1)
    far_outside = -3.0
    return torch.where(counts, 2 * points - 1, far_outside), counts


def _sample(feature_map: Tensor, grid: Tensor) -> Tensor:
    """Interpolate between the four nearest pixels, zeros around the map: ``[N*M, D, Lq, P]``."""
    return F.grid_sample(feature_map, grid, mode='bilinear', padding_mode='zeros', align_corners=False)


def ms_deform_attn(
    value: Tensor,
    spatial_shapes: Sequence[tuple[int, int]],
    level_start_index: Sequence[int],
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    """Multi-scale deformable attention (https://arxiv.org/abs/2010.04159, equation 3) in plain PyTorch.

    Args:
        value: ``[N, S, M, D]``.
        spatial_shapes: (h, w) of every level.
        level_start_index: first position of every level in S.
        sampling_locations: ``[N, Lq, M, L, P, 2]`` (x, y), the map spans [0, 1]; of ``compute_dtype(value.dtype)``.
        attention_weights: ``[N, Lq, M, L, P]``, of the same type.

    Returns:
        ``[N, Lq, M*D]`` in the type of ``value``.
    """
    N, _, M, D = value.shape
    Lq = sampling_locations.shape[1]
    weights = attention_weights.transpose(1, 2).flatten(0, 1)  # [N*M, Lq, L, P]
    output = value.new_zeros((N * M, D, Lq), dtype=compute_dtype(value.dtype))
    for level, (start, (height, width)) in enumerate(zip(level_start_index, spatial_shapes)):
        grid, _ = _sampling_grid(sampling_locations[:, :, :, level], height, width)
        sampled = _sample(_feature_map(value, start, height, width), grid)  # [N*M, D, Lq, P]
        output = output + (sampled * weights[:, None, :, level]).sum(-1)
    return output.reshape(N, M * D, Lq).transpose(1, 2).contiguous().to(value.dtype)


def ms_deform_attn_backward(
    grad_output: Tensor,
    value: Tensor,
    spatial_shapes: Sequence[tuple[int, int]],
    level_start_index: Sequence[int],
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of :func:`ms_deform_attn`.

    Args:
        grad_output: ``[N, Lq, M*D]``, gradient of the output; the other arguments are those of the forward.
        value: ``[N, S, M, D]``.
        spatial_shapes: (h, w) of every level.
        level_start_index: first position of every level in S.
        sampling_locations: ``[N, Lq, M, L, P, 2]``.
        attention_weights: ``[N, Lq, M, L, P]``.

    Returns:
        The gradients of ``value``, ``sampling_locations`` and ``attention_weights``, in their shapes and types.
    """
    N, S, M, D = value.shape
    _, Lq, _, L, P, _ = sampling_locations.shape
    dtype = compute_dtype(value.dtype)
    grad = grad_output.to(dtype).reshape(N, Lq, M, D).permute(0, 2, 3, 1).reshape(N * M, D, Lq, 1)
    weights = attention_weights.transpose(1, 2).flatten(0, 1)  # [N*M, Lq, L, P]

    grad_value = value.new_zeros((N, S, M, D), dtype=dtype)
    grad_locations, grad_weights = [], []
    for level, (start, (height, width)) in enumerate(zip(level_start_index, spatial_shapes)):
        grid, counts = _sampling_grid(sampling_locations[:, :, :, level], height, width)
        feature_map = _feature_map(value, start, height, width)
        grad_weights.append((_sample(feature_map, grid) * grad).sum(1))  # [N*M, Lq, P]
        grad_map, grad_grid = torch.ops.aten.grid_sampler_2d_backward(
            grad * weights[:, None, :, level],
            feature_map,
            grid,
            interpolation_mode=0,  # bilinear
            padding_mode=0,  # zeros
            align_corners=False,
            output_mask=[True, True],
        )
        grad_level = grad_map.reshape(N, M, D, height * width).permute(0, 3, 1, 2)
        grad_value[:, start : start + height * width] += grad_level
        grad_locations.append(torch.where(counts, 2 * grad_grid, 0.0))  # [N*M, Lq, P, 2]

    return (
        grad_value.to(value.dtype),
        torch.stack(grad_locations, 2).reshape(N, M, Lq, L, P, 2).transpose(1, 2).contiguous(),
        torch.stack(grad_weights, 2).reshape(N, M, Lq, L, P).transpose(1, 2).contiguous(),
    )
