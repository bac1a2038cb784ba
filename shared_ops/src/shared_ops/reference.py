"""The operators in plain PyTorch: written to be read, oracle of the tests, and what runs without compiled kernels.

Every function takes what its operator takes, unchecked. The forwards are differentiable by PyTorch's autograd; the
backwards compute the same gradients explicitly, because an operator's backward runs below autograd.

Shape notation: N batch, S positions summed over levels, Lq queries, L levels, M heads, P points, D channels per head;
H, W rows and columns of a map, Ho, Wo those of the result, C channels, G groups, K = kh*kw points of a kernel.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ._sampling import compute_dtype, sample, sample_backward, sampling_grid


def _level(value: Tensor, start: int, height: int, width: int) -> Tensor:
    """Cut one level out of ``value`` ``[N, S, M, D]`` as maps ``[N*M, D, height, width]``."""
    N, _, M, D = value.shape
    level = value[:, start : start + height * width].permute(0, 2, 3, 1)  # [N, M, D, h*w]
    return level.reshape(N * M, D, height, width).to(compute_dtype(value.dtype))


def _level_grid(locations: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Turn locations of one level ``[N, Lq, M, P, 2]`` into a grid ``[N*M, Lq, P, 2]`` and which points count."""
    points = locations.transpose(1, 2).flatten(0, 1)  # [N*M, Lq, P, 2]
    x, y = points.unbind(-1)
    return sampling_grid(2 * points - 1, x * width - 0.5, y * height - 0.5, height, width)


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
        sampling_locations: ``[N, Lq, M, L, P, 2]`` (x, y), the map spans [0, 1].
        attention_weights: ``[N, Lq, M, L, P]``.

    Returns:
        ``[N, Lq, M*D]`` in the type of ``value``.
    """
    N, _, M, D = value.shape
    Lq = sampling_locations.shape[1]
    dtype = compute_dtype(value.dtype)
    locations = sampling_locations.to(dtype)
    weights = attention_weights.to(dtype).transpose(1, 2).flatten(0, 1)  # [N*M, Lq, L, P]
    output = value.new_zeros((N * M, D, Lq), dtype=dtype)
    for level, (start, (height, width)) in enumerate(zip(level_start_index, spatial_shapes)):
        grid, _ = _level_grid(locations[:, :, :, level], height, width)
        sampled = sample(_level(value, start, height, width), grid)  # [N*M, D, Lq, P]
        output = output + (sampled * weights[:, None, :, level]).sum(-1)
    return output.reshape(N, M * D, Lq).transpose(1, 2).contiguous().to(value.dtype)


def ms_deform_attn_backward(
    grad_output: Tensor,
    value: Tensor,
    spatial_shapes: Sequence[tuple[int, int]],
    level_start_index: Sequence[int],
    sampling_locations: Tensor,
    attention_weights: Tensor,
    output_mask: Sequence[bool] = (True, True, True),
    deterministic: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of :func:`ms_deform_attn`.

    Args:
        grad_output: ``[N, Lq, M*D]``, gradient of the output; the other arguments are those of the forward.
        value: ``[N, S, M, D]``.
        spatial_shapes: (h, w) of every level.
        level_start_index: first position of every level in S.
        sampling_locations: ``[N, Lq, M, L, P, 2]``.
        attention_weights: ``[N, Lq, M, L, P]``.
        output_mask: which of the three gradients are wanted.
        deterministic: changes nothing here: PyTorch's own operators find out for themselves.

    Returns:
        The gradients of ``value``, ``sampling_locations`` and ``attention_weights``, in their shapes and types; without
        elements where they are not wanted.
    """
    N, S, M, D = value.shape
    Lq = sampling_locations.shape[1]
    dtype = compute_dtype(value.dtype)
    grad = grad_output.to(dtype).reshape(N, Lq, M, D).permute(0, 2, 3, 1).reshape(N * M, D, Lq, 1)
    locations = sampling_locations.to(dtype)
    weights = attention_weights.to(dtype).transpose(1, 2).flatten(0, 1)  # [N*M, Lq, L, P]

    value_wanted, locations_wanted, weights_wanted = output_mask
    grad_value = value.new_zeros((N, S, M, D) if value_wanted else 0, dtype=dtype)
    grad_locations, grad_weights = [], []
    for level, (start, (height, width)) in enumerate(zip(level_start_index, spatial_shapes)):
        grid, counts = _level_grid(locations[:, :, :, level], height, width)
        feature_map = _level(value, start, height, width)
        if weights_wanted:
            grad_weights.append((sample(feature_map, grid) * grad).sum(1))  # [N*M, Lq, P]
        if value_wanted or locations_wanted:
            grad_sampled = grad * weights[:, None, :, level]
            grad_map, grad_grid = sample_backward(grad_sampled, feature_map, grid, value_wanted)
        if value_wanted:
            grad_level = grad_map.reshape(N, M, D, height * width).permute(0, 3, 1, 2)
            grad_value[:, start : start + height * width] += grad_level
        if locations_wanted:
            grad_locations.append(torch.where(counts, 2 * grad_grid, 0.0))  # [N*M, Lq, P, 2]

    def gather(wanted: bool, like: Tensor, levels: list[Tensor]) -> Tensor:
        if not wanted:
            return like.new_empty(0)
        stacked = torch.stack(levels, 2).reshape(N, M, Lq, *like.shape[3:])
        return stacked.transpose(1, 2).contiguous().to(like.dtype)

    return (
        grad_value.to(value.dtype),
        gather(locations_wanted, sampling_locations, grad_locations),
        gather(weights_wanted, attention_weights, grad_weights),
    )


def _exact_size(size: int) -> int:
    """Return the power of two from ``size`` on: dividing a coordinate by it and multiplying again loses nothing.

    A size that a tracer has not fixed stays as it is: it costs no more than a last digit, and the side from which a
    point that lies on a pixel exactly is differentiated.
    """
    return 1 << (size - 1).bit_length() if isinstance(size, int) else size


def _group_maps(input: Tensor, groups: int) -> Tensor:
    """Return ``input`` ``[N, H, W, G*D]`` as maps ``[N*G, D, H', W']`` with zeros up to the exact sizes H', W'."""
    N, H, W, C = input.shape
    D = C // groups
    maps = input.reshape(N, H, W, groups, D).permute(0, 3, 4, 1, 2).reshape(N * groups, D, H, W)
    maps = maps.to(compute_dtype(input.dtype))
    missing = (0, _exact_size(W) - W, 0, _exact_size(H) - H)
    return F.pad(maps, missing) if any(missing) else maps


def _positions(
    offset: Tensor, place: int, point: int, stride: int, padding: int, dilation: int, offset_scale: float
) -> Tensor:
    """Return where along one axis of the map the points lie, in pixels.

    Args:
        offset: along that axis, ``[N, Ho, Wo, G, kw, kh]``.
        place: dimension of ``offset`` that counts the kernels along the axis.
        point: dimension of ``offset`` that counts the points of a kernel along the axis.
        stride: pixels between two kernels.
        padding: pixels by which the first kernel sticks out.
        dilation: pixels between two points.
        offset_scale: factor of the kernel, around its centre, and of the offsets.
    """

    def count(dimension: int) -> Tensor:
        numbers = torch.arange(offset.shape[dimension], dtype=offset.dtype, device=offset.device)
        return numbers.reshape(-1, *(1,) * (offset.dim() - 1 - dimension))

    centre = dilation * (offset.shape[point] - 1) // 2
    start = count(place) * stride - padding + (centre - centre * offset_scale)
    return start + (count(point) * dilation + offset) * offset_scale


def _kernel_grid(
    input: Tensor,
    offset: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    offset_scale: float,
) -> tuple[Tensor, Tensor]:
    """Return where the kernels sample the maps of :func:`_group_maps`, ``[N*G, Ho*Wo, K, 2]``, and what counts."""
    N, H, W, _ = input.shape
    _, Ho, Wo, _ = offset.shape
    height, width = kernel_size
    # the points of a kernel stand column after column
    offset = offset.to(compute_dtype(input.dtype)).reshape(N, Ho, Wo, groups, width, height, 2)
    columns = _positions(offset[..., 0], 2, 4, stride[1], padding[1], dilation[1], offset_scale)
    rows = _positions(offset[..., 1], 1, 5, stride[0], padding[0], dilation[0], offset_scale)
    column, row = (
        positions.permute(0, 3, 1, 2, 4, 5).reshape(N * groups, Ho * Wo, width * height)
        for positions in (columns, rows)
    )
    # grid_sample spans [-1, 1] from the left edge of the first pixel to the right edge of the last
    x = (2 * column + 1) / _exact_size(W) - 1
    y = (2 * row + 1) / _exact_size(H) - 1
    return sampling_grid(torch.stack((x, y), -1), column, row, H, W)


def _kernel_weights(mask: Tensor, groups: int, dtype: torch.dtype) -> Tensor:
    """Return ``mask`` ``[N, Ho, Wo, G*K]`` as ``[N*G, 1, Ho*Wo, K]``."""
    N, Ho, Wo, GK = mask.shape
    K = GK // groups
    return mask.to(dtype).reshape(N, Ho * Wo, groups, K).transpose(1, 2).reshape(N * groups, 1, Ho * Wo, K)


def dcnv3(
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    offset_scale: float,
) -> Tensor:
    """Deformable convolution v3 (https://arxiv.org/abs/2211.05778, equation 2) in plain PyTorch.

    Args:
        input: ``[N, H, W, C]``, the channels of a group side by side.
        offset: ``[N, Ho, Wo, G*K*2]`` (x, y) in pixels; the points of a kernel stand column after column.
        mask: ``[N, Ho, Wo, G*K]``.
        kernel_size: (h, w), as are the next three.
        stride: pixels between two results.
        padding: pixels by which the first kernel sticks out.
        dilation: pixels between two points of a kernel.
        groups: G.
        offset_scale: factor of the kernel, around its centre, and of the offsets.

    Returns:
        ``[N, Ho, Wo, C]`` in the type of ``input``.
    """
    N, Ho, Wo, _ = offset.shape
    C = input.shape[3]
    grid, _ = _kernel_grid(input, offset, kernel_size, stride, padding, dilation, groups, offset_scale)
    sampled = sample(_group_maps(input, groups), grid)  # [N*G, D, Ho*Wo, K]
    weights = _kernel_weights(mask, groups, sampled.dtype)
    output = (sampled * weights).sum(-1)
    return output.reshape(N, C, Ho, Wo).permute(0, 2, 3, 1).contiguous().to(input.dtype)


def dcnv3_backward(
    grad_output: Tensor,
    input: Tensor,
    offset: Tensor,
    mask: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    offset_scale: float,
    output_mask: Sequence[bool] = (True, True, True),
    deterministic: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of :func:`dcnv3`.

    Args:
        grad_output: ``[N, Ho, Wo, C]``, gradient of the output; the other arguments are those of the forward.
        input: ``[N, H, W, C]``.
        offset: ``[N, Ho, Wo, G*K*2]``.
        mask: ``[N, Ho, Wo, G*K]``.
        kernel_size: (h, w), as are the next three.
        stride: pixels between two results.
        padding: pixels by which the first kernel sticks out.
        dilation: pixels between two points of a kernel.
        groups: G.
        offset_scale: factor of the kernel, around its centre, and of the offsets.
        output_mask: which of the three gradients are wanted.
        deterministic: changes nothing here: PyTorch's own operators find out for themselves.

    Returns:
        The gradients of ``input``, ``offset`` and ``mask``, in their shapes and types; without elements where they are
        not wanted.
    """
    N, H, W, C = input.shape
    _, Ho, Wo, GK = mask.shape
    K = GK // groups
    D = C // groups
    dtype = compute_dtype(input.dtype)
    grad = grad_output.to(dtype).reshape(N, Ho * Wo, groups, D).permute(0, 2, 3, 1)
    grad = grad.reshape(N * groups, D, Ho * Wo, 1)
    grid, counts = _kernel_grid(input, offset, kernel_size, stride, padding, dilation, groups, offset_scale)
    maps = _group_maps(input, groups)
    grad_input, grad_offset, grad_mask = input.new_empty(0), offset.new_empty(0), mask.new_empty(0)
    input_wanted, offset_wanted, mask_wanted = output_mask
    if mask_wanted:
        grad_weights = (sample(maps, grid) * grad).sum(1)  # [N*G, Ho*Wo, K]
        grad_mask = grad_weights.reshape(N, groups, Ho * Wo, K).transpose(1, 2).reshape(mask.shape).to(mask.dtype)
    if input_wanted or offset_wanted:
        grad_sampled = grad * _kernel_weights(mask, groups, dtype)
        grad_maps, grad_grid = sample_backward(grad_sampled, maps, grid, input_wanted)
    if input_wanted:
        grad_input = grad_maps[:, :, :H, :W].reshape(N, C, H, W).permute(0, 2, 3, 1).contiguous().to(input.dtype)
    if offset_wanted:
        # two numbers, not a tensor of two, which would be a copy to the device, for which it has to wait
        pixels = [2 * offset_scale / _exact_size(size) for size in (W, H)]
        grad_pixels = torch.stack([grad_grid[..., axis] * pixels[axis] for axis in range(2)], -1)
        places = torch.where(counts, grad_pixels, 0.0).reshape(N, groups, Ho * Wo, K * 2).transpose(1, 2)
        grad_offset = places.reshape(offset.shape).to(offset.dtype)
    return grad_input, grad_offset, grad_mask
