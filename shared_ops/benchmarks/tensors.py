"""Draws the tensors of a case, placed as trained models place their points.

What an operator costs depends on which pixels neighbouring queries share. Points drawn anywhere on the map, as unit
tests have them, share none, which no model does. Trained models look around the place of the query: Deformable DETR's
offsets start one to P pixels away and InternImage's at zero, on a 3x3 grid. So points are drawn around the query's
reference point, normally distributed with two pixels of the sampled map for attention, and with one pixel around the
grid of the kernel for DCNv3. At the borders some fall outside, as they do in models.
"""

from dataclasses import dataclass, replace
from functools import partial

import torch
from shapes import AttentionCase, Case, ConvolutionCase, Size
from torch import Tensor

ATTENTION_SPREAD = 2.0  # pixels of the sampled map
CONVOLUTION_SPREAD = 1.0  # pixels, before offset_scale


@dataclass(frozen=True)
class Precision:
    """Types of the data (value or input, output) and of the point tensors (locations, offsets, weights, masks)."""

    name: str
    data: torch.dtype
    points: torch.dtype


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision('float32', torch.float32, torch.float32),
        Precision('bfloat16', torch.bfloat16, torch.bfloat16),
        Precision('float16', torch.float16, torch.float16),
        # what the modules pass under autocast: they compute where to look in float32
        Precision('bfloat16-points32', torch.bfloat16, torch.float32),
        Precision('float16-points32', torch.float16, torch.float32),
        Precision('float64', torch.float64, torch.float64),
    )
}


@dataclass(frozen=True)
class Tensors:
    """What an operator is called with, in its order, and the gradient of its output.

    Attributes:
        case: the case.
        batch: N.
        inputs: value ``[N, S, M, D]``, locations ``[N, Lq, M, L, P, 2]`` and weights ``[N, Lq, M, L, P]``, or
            input ``[N, H, W, C]``, offset ``[N, H, W, G*K*2]`` and mask ``[N, H, W, G*K]``.
        grad_output: ``[N, Lq, M*D]`` or ``[N, H, W, C]``.
    """

    case: Case
    batch: int
    inputs: tuple[Tensor, Tensor, Tensor]
    grad_output: Tensor

    def to(self, precision: Precision) -> 'Tensors':
        """Return a copy rounded to ``precision``, whose inputs require gradients."""
        data, points = precision.data, precision.points
        value, where, weights = self.inputs

        def leaf(tensor: Tensor, dtype: torch.dtype) -> Tensor:
            return tensor.detach().to(dtype, copy=True).requires_grad_()

        inputs = (leaf(value, data), leaf(where, points), leaf(weights, points))
        return replace(self, inputs=inputs, grad_output=self.grad_output.to(data, copy=True))

    def nbytes(self) -> int:
        """Return the bytes of the inputs and of the gradient of the output."""
        return sum(tensor.numel() * tensor.element_size() for tensor in (*self.inputs, self.grad_output))


def level_starts(levels: tuple[Size, ...]) -> list[int]:
    """Return the first position of every level."""
    return [sum(height * width for height, width in levels[:index]) for index in range(len(levels))]


def _centres(maps: tuple[Size, ...], device: torch.device) -> Tensor:
    """Return the pixel centres ``[Lq, 2]`` of all maps, (x, y) in [0, 1]."""
    points = []
    for height, width in maps:
        rows, columns = ((torch.arange(size, device=device) + 0.5) / size for size in (height, width))
        y, x = torch.meshgrid(rows, columns, indexing='ij')
        points.append(torch.stack((x, y), -1).reshape(-1, 2))
    return torch.cat(points)


def _draw_attention(case: AttentionCase, batch: int, generator: torch.Generator) -> Tensors:
    N, M, D, P, L = batch, case.heads, case.channels, case.points, len(case.levels)
    normal = partial(torch.randn, generator=generator, device=generator.device)
    reference = _centres(case.queries, generator.device)
    Lq, S = len(reference), sum(height * width for height, width in case.levels)
    pixels = torch.tensor([[width, height] for height, width in case.levels], device=generator.device)
    offsets = normal(N, Lq, M, L, P, 2) * ATTENTION_SPREAD / pixels[:, None]
    weights = normal(N, Lq, M, L * P).softmax(-1).reshape(N, Lq, M, L, P)
    inputs = normal(N, S, M, D), reference[:, None, None, None] + offsets, weights
    return Tensors(case, batch, inputs, normal(N, Lq, M * D))


def _draw_convolution(case: ConvolutionCase, batch: int, generator: torch.Generator) -> Tensors:
    (height, width), G, K = case.size, case.groups, case.kernel[0] * case.kernel[1]
    size = (batch, height, width)
    normal = partial(torch.randn, generator=generator, device=generator.device)
    inputs = (
        normal(*size, G * case.channels),
        normal(*size, G * K * 2) * CONVOLUTION_SPREAD,
        normal(*size, G, K).softmax(-1).reshape(*size, G * K),
    )
    return Tensors(case, batch, inputs, normal(*size, G * case.channels))


def draw(case: Case, batch: int, device: str, seed: int = 0) -> Tensors:
    """Draw the tensors of a case in float32, on the device itself: hundreds of millions of numbers take a CPU long."""
    generator = torch.Generator(device).manual_seed(seed)
    if isinstance(case, AttentionCase):
        return _draw_attention(case, batch, generator)
    return _draw_convolution(case, batch, generator)


def reduced(case: Case, interpolations: int) -> Case:
    """Return ``case`` with about ``interpolations`` per image at most: the same channels, fewer rows of every map."""
    share = interpolations / case.interpolations
    if share >= 1:
        return case

    def fewer(size: Size) -> Size:
        return max(2, int(size[0] * share)), size[1]

    if isinstance(case, AttentionCase):
        return replace(case, queries=tuple(map(fewer, case.queries)))
    return replace(case, size=fewer(case.size))


def distance_to_kink(tensors: Tensors) -> Tensor:
    """Return how far every coordinate is from where its derivative jumps, in pixels, in the shape of ``inputs[1]``.

    Bilinear interpolation has a kink where a point crosses a row or column of pixels. Within rounding of it, which side
    a point is on, and so its gradient, is decided by the last bit.
    """
    where = tensors.inputs[1].detach().double()
    if isinstance(tensors.case, AttentionCase):
        pixels = where.new_tensor([[width, height] for height, width in tensors.case.levels])
        where = where * pixels[:, None] - 0.5
    else:
        # the grid itself lies on whole pixels: its centre does, and offset_scale is a whole number here
        where = where * tensors.case.offset_scale
    return (where - where.round()).abs()
