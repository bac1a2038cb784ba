"""Deformable convolution v3 (InternImage, https://arxiv.org/abs/2211.05778): the operator.

Shape notation: N batch, H, W rows and columns of the input, Ho, Wo of the output, C channels, G groups, K = kh*kw
points of a kernel.
"""

import torch
from torch import Tensor

from . import reference
from ._dcnv3_checks import Pair, check_dcnv3, output_size, pair, scale
from ._registration import in_common_type, register


def dcnv3(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    offset_scale: float = 1.0,
) -> Tensor:
    """Sample ``input`` under deformed kernels and sum with masks (https://arxiv.org/abs/2211.05778, equation 2).

    The point (i, j) of the kernel at the output's (column, row) lies, in pixels of the input, at

        x = column*stride - padding + c + (i*dilation - c + offset_x) * offset_scale, c = dilation*(kernel - 1) // 2

    with the widths of the pairs, and at y likewise with row, j, offset_y and the heights. Sampling is bilinear with
    zeros around the map. A point that is one pixel or more away from the map, infinite or NaN adds nothing and has no
    gradient. Under autocast, ``input`` keeps its type.

    Args:
        input: ``[N, H, W, C]``, channels last, those of a group side by side; float32, float64, float16 or bfloat16.
        offset: ``[N, Ho, Wo, G*K*2]``, **(x, y)** in pixels before ``offset_scale``; the points of a kernel stand
            column after column (torchvision's row after row, and its pairs are (y, x)). Of ``input``'s type, or
            float32 where that is float16 or bfloat16.
        mask: ``[N, Ho, Wo, G*K]``, usually softmaxed over K by the caller; types as for offset. If one of the two is
            float32, both are taken in float32.
        kernel_size: rows and columns of the kernel: an integer, or (h, w), as are the next three.
        stride: pixels between two kernels.
        padding: pixels by which the first kernel sticks out of the map.
        dilation: pixels between two points of a kernel.
        groups: G; divides C.
        offset_scale: factor of the kernel, around its centre, and of the offsets.

    Returns:
        ``[N, Ho, Wo, C]`` in the type of ``input``, with Ho = (H + 2*padding - dilation*(kernel_size - 1) - 1) //
        stride + 1. Sums are taken in float32, for float64 in float64.

    Raises:
        ValueError: shapes, types or devices do not fit together.

    Example:
        >>> input = torch.rand(2, 6, 8, 12)
        >>> offset, mask = torch.randn(2, 6, 8, 3 * 9 * 2), torch.rand(2, 6, 8, 3 * 9)
        >>> dcnv3(input, offset, mask, kernel_size=3, padding=1, groups=3).shape
        torch.Size([2, 6, 8, 12])
    """
    geometry = (
        pair('kernel_size', kernel_size, 1),
        pair('stride', stride, 1),
        pair('padding', padding, 0),
        pair('dilation', dilation, 1),
    )
    offset_scale = scale(offset_scale)
    check_dcnv3(input, offset, mask, *geometry, groups)
    offset, mask = in_common_type(input, offset, mask)
    output: Tensor = torch.ops.shared_ops.dcnv3(input, offset, mask, *geometry, groups, offset_scale)
    return output


def _output_shape(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel_size: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
    offset_scale: float,
) -> tuple[int, ...]:
    N, H, W, C = input.shape
    return N, *output_size((H, W), kernel_size, stride, padding, dilation), C


register('dcnv3', reference.dcnv3, reference.dcnv3_backward, _output_shape)
