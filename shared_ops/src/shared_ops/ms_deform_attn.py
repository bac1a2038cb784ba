"""Multi-scale deformable attention (Deformable DETR, https://arxiv.org/abs/2010.04159): the operator.

Shape notation: N batch, S positions summed over levels, Lq queries, L levels, M heads, P points, D channels per head.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from . import reference
from ._checks import check_ms_deform_attn, integers, pairs
from ._registration import in_common_type, register

SpatialShapes = Sequence[tuple[int, int]] | Tensor
LevelStarts = Sequence[int] | Tensor


def ms_deform_attn(
    value: Tensor,
    spatial_shapes: SpatialShapes,
    level_start_index: LevelStarts,
    sampling_locations: Tensor,
    attention_weights: Tensor,
) -> Tensor:
    """Sample ``value`` around every query and sum with weights (https://arxiv.org/abs/2010.04159, equation 3).

    Sampling is bilinear between pixel centres, which lie at ((i + 0.5) / w, (j + 0.5) / h), with zeros around the map.
    A point that is one pixel or more away from the map, infinite or NaN adds nothing and has no gradient. Under
    autocast, ``value`` keeps its type.

    Args:
        value: ``[N, S, M, D]``, float32, float64, float16 or bfloat16.
        spatial_shapes: (h, w) of every level: Python integers, or an integer tensor ``[L, 2]``, which is read back
            from its device. A compiled or exported graph reads it when it runs.
        level_start_index: first position of every level in S: Python integers, or an integer tensor ``[L]``.
        sampling_locations: ``[N, Lq, M, L, P, 2]``, **(x, y)**, the map spans [0, 1]; of ``value``'s type, or float32
            where that is float16 or bfloat16. Half locations are off by whole pixels on large maps.
        attention_weights: ``[N, Lq, M, L, P]``, usually softmaxed over L and P by the caller; types as for
            locations. If one of the two is float32, both are taken in float32.

    Returns:
        ``[N, Lq, M*D]`` in the type of ``value``. Sums are taken in float32, for float64 in float64.

    Raises:
        ValueError: shapes, types or devices do not fit together.

    Example:
        >>> value = torch.rand(2, 4 * 6 + 2 * 3, 8, 16)
        >>> locations, weights = torch.rand(2, 5, 8, 2, 4, 2), torch.rand(2, 5, 8, 2, 4)
        >>> ms_deform_attn(value, [(4, 6), (2, 3)], [0, 24], locations, weights).shape
        torch.Size([2, 5, 128])
    """
    shapes = pairs('spatial_shapes', spatial_shapes)
    starts = integers('level_start_index', level_start_index)
    check_ms_deform_attn(value, shapes, starts, sampling_locations, attention_weights)
    locations, weights = in_common_type(value, sampling_locations, attention_weights)
    sizes = [size for shape in shapes for size in shape]
    output: Tensor = torch.ops.shared_ops.ms_deform_attn(value, sizes, starts, locations, weights)
    return output


# The operator takes spatial_shapes flat, [h0, w0, h1, w1, ...].


def _unflatten(spatial_shapes: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(spatial_shapes[::2], spatial_shapes[1::2]))


def forward(
    value: Tensor, spatial_shapes: list[int], level_start_index: list[int], locations: Tensor, weights: Tensor
) -> Tensor:
    """Do what the operator does in plain PyTorch."""
    return reference.ms_deform_attn(value, _unflatten(spatial_shapes), level_start_index, locations, weights)


def backward(
    grad_output: Tensor,
    value: Tensor,
    spatial_shapes: list[int],
    level_start_index: list[int],
    locations: Tensor,
    weights: Tensor,
    output_mask: Sequence[bool],
    deterministic: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Do what the operator's backward does in plain PyTorch."""
    shapes = _unflatten(spatial_shapes)
    return reference.ms_deform_attn_backward(
        grad_output, value, shapes, level_start_index, locations, weights, output_mask, deterministic
    )


def _output_shape(
    value: Tensor, spatial_shapes: list[int], level_start_index: list[int], locations: Tensor, weights: Tensor
) -> tuple[int, ...]:
    N, _, M, D = value.shape
    return N, locations.shape[1], M * D


register('ms_deform_attn', forward, backward, _output_shape)
