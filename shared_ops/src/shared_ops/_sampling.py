"""What operators, their modules and references share: types, weights of points, bilinear sampling in plain PyTorch.

Shape notation: B maps, D channels of a map, h, w its rows and columns, Q places with P points each.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type of coordinates, weights and sums for data of ``dtype``: float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def softmax_over_points(logits: Tensor) -> Tensor:
    """Return the softmax of ``[..., P]`` over its last dimension, in the type of :func:`compute_dtype`."""
    dtype = compute_dtype(logits.dtype)
    if logits.device.type != 'cpu':
        return F.softmax(logits, -1, dtype=dtype)
    # Points first: on a CPU PyTorch vectorizes a softmax over what lies behind its dimension, and over the 4 to 12
    # numbers that lie side by side here it takes 6 to 20 times as long as this with its two copies.
    return F.softmax(logits.movedim(-1, 0).contiguous(), 0, dtype=dtype).movedim(0, -1).contiguous()


def sampling_grid(grid: Tensor, column: Tensor, row: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Move the points that do not count to where ``grid_sample`` reads zeros.

    A point counts when it is nearer than one pixel to the map: one that touches it from exactly one pixel away has a
    gradient in ``grid_sample``, but none in the CUDA kernels that published checkpoints were trained with. NaN and
    infinity do not count.

    Args:
        grid: ``[B, Q, P, 2]`` (x, y), in which the map spans [-1, 1].
        column: the same x in pixels, ``[B, Q, P]``, 0 being the centre of the first column.
        row: the same y.
        height: rows of the map.
        width: columns of the map.

    Returns:
        The grid, and which points count, ``[B, Q, P, 1]``.
    """
    counts = ((column > -1) & (column < width) & (row > -1) & (row < height)).unsqueeze(-1)
    far_outside = -3.0
    return torch.where(counts, grid, far_outside), counts


def sample(feature_map: Tensor, grid: Tensor) -> Tensor:
    """Interpolate ``[B, D, h, w]`` between the four nearest pixels, zeros around the map: ``[B, D, Q, P]``."""
    return F.grid_sample(feature_map, grid, mode='bilinear', padding_mode='zeros', align_corners=False)


def sample_backward(grad_sampled: Tensor, feature_map: Tensor, grid: Tensor, map_wanted: bool) -> tuple[Tensor, Tensor]:
    """Return the gradients of the map, which is nothing unless it is wanted, and of the grid."""
    grad_map, grad_grid = torch.ops.aten.grid_sampler_2d_backward(
        grad_sampled,
        feature_map,
        grid,
        interpolation_mode=0,  # bilinear
        padding_mode=0,  # zeros
        align_corners=False,
        output_mask=[map_wanted, True],
    )
    return grad_map, grad_grid
