"""What operators, their modules and references share: types, weights of points, bilinear sampling in plain PyTorch.

Shape notation: B maps, D channels of a map, h, w its rows and columns, Q places with P points each.
"""

import functools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the type of coordinates, weights and sums for data of ``dtype``: float64 for float64, else float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _filled(shapes: Sequence[tuple[int, int]], dtype: torch.dtype, device: torch.device) -> Tensor:
    # filled on the device: a tensor made from a list would be a copy, for which the device has to wait
    sizes = [torch.full((), size, dtype=dtype, device=device) for h, w in shapes for size in (w, h)]
    return torch.stack(sizes).reshape(len(shapes), 1, 2)


@functools.lru_cache(maxsize=128)
def _kept(shapes: tuple[tuple[int, int], ...], dtype: torch.dtype, device: torch.device, stream: int) -> Tensor:
    # one for each stream: another one might read it before it is filled
    with torch.inference_mode(False):
        return _filled(shapes, dtype, device)


def level_sizes(shapes: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
    """Return (w, h) of every level, ``[L, 1, 2]``, in the type and on the device of ``like``.

    Filling them takes 2L + 1 kernels, several times as long as dividing by them, so they are kept for the next layer
    and the next image: but not what a tracer sees, nor what a CUDA graph fills whenever it is replayed.
    """
    if torch.compiler.is_compiling() or type(like) is not Tensor:
        return _filled(shapes, like.dtype, like.device)
    if like.device.type == 'cpu':
        return _kept(tuple(shapes), like.dtype, like.device, 0)
    if like.device.type == 'cuda' and not torch.cuda.is_current_stream_capturing():
        return _kept(tuple(shapes), like.dtype, like.device, torch.cuda.current_stream(like.device).cuda_stream)
    return _filled(shapes, like.dtype, like.device)


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
