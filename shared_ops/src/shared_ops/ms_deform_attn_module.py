"""Multi-scale deformable attention (Deformable DETR, https://arxiv.org/abs/2010.04159): the module.

Shape notation: N batch, S positions summed over levels, Lq queries, L levels, M heads, P points, D channels per head,
C channels of the module.
"""

import math

import torch
from torch import Tensor, nn

from ._checks import check_module_inputs, pairs
from ._sampling import compute_dtype, level_sizes, softmax_over_points
from .ms_deform_attn import LevelStarts, SpatialShapes, ms_deform_attn


class MSDeformAttn(nn.Module):
    """Multi-scale deformable attention with its projections (https://arxiv.org/abs/2010.04159, section 4.1).

    A query predicts, for every head, ``n_points`` offsets in each level and their weights; the values sampled there
    are summed and projected. State-dict keys are those of the original: ``sampling_offsets``, ``attention_weights``,
    ``value_proj``, ``output_proj``.

    Args:
        d_model: C, channels of queries, values and results.
        n_levels: L, number of feature maps.
        n_heads: M; divides ``d_model`` and ``int(d_model * ratio)``.
        n_points: P, sampling points per head and level.
        ratio: channels of the projected values, as a multiple of ``d_model``.

    Raises:
        ValueError: a number is not positive, or ``n_heads`` does not divide the channels.

    Example:
        >>> attention = MSDeformAttn(d_model=32, n_levels=2, n_heads=4)
        >>> query, values = torch.rand(1, 5, 32), torch.rand(1, 4 * 6 + 2 * 3, 32)
        >>> attention(query, torch.rand(1, 5, 1, 2), values, [(4, 6), (2, 3)], [0, 24]).shape
        torch.Size([1, 5, 32])
    """

    def __init__(
        self,
        d_model: int = 256,
        *,
        n_levels: int = 4,
        n_heads: int = 8,
        n_points: int = 4,
        ratio: float = 1.0,
    ) -> None:
        super().__init__()
        for name, number in [
            ('d_model', d_model), ('n_levels', n_levels), ('n_heads', n_heads), ('n_points', n_points)
        ]:  # fmt: skip
            if not isinstance(number, int) or number < 1:
                raise ValueError(f'{name} must be a positive integer, not {number!r}')
        value_channels = int(d_model * ratio)
        if d_model % n_heads:
            raise ValueError(f'n_heads={n_heads} must divide d_model={d_model}: choose a divisor')
        if value_channels < 1 or value_channels % n_heads:
            raise ValueError(
                f'n_heads={n_heads} must divide the channels of the values, int(d_model * ratio) = {value_channels} '
                f'with d_model={d_model} and ratio={ratio}: choose another ratio or number of heads'
            )
        self.d_model = d_model
        self.n_levels = n_levels
        self.n_heads = n_heads
        self.n_points = n_points
        self.ratio = ratio
        self.sampling_offsets = nn.Linear(d_model, n_heads * n_levels * n_points * 2)
        self.attention_weights = nn.Linear(d_model, n_heads * n_levels * n_points)
        self.value_proj = nn.Linear(d_model, value_channels)
        self.output_proj = nn.Linear(value_channels, d_model)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Start with equal weights, and with offsets in which every head looks into a direction of its own."""
        angle = torch.arange(self.n_heads, dtype=torch.float32) * (2.0 * math.pi / self.n_heads)
        direction = torch.stack((angle.cos(), angle.sin()), -1)  # [M, 2]
        # onto the edge of a square, so that the k-th point lies k pixels away in x, in y, or in both
        direction = direction / direction.abs().amax(-1, keepdim=True)
        distance = torch.arange(1, self.n_points + 1, dtype=torch.float32)
        ring = direction[:, None, None, :] * distance[:, None]  # [M, 1, P, 2]
        ring = ring.expand(-1, self.n_levels, -1, -1)  # [M, L, P, 2]
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(ring.flatten())
        for layer in (self.sampling_offsets, self.attention_weights):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``."""
        return (
            f'd_model={self.d_model}, n_levels={self.n_levels}, n_heads={self.n_heads}, '
            f'n_points={self.n_points}, ratio={self.ratio}'
        )

    def _locations(self, query: Tensor, reference_points: Tensor, shapes: list[tuple[int, int]]) -> Tensor:
        """Return where to sample, ``[N, Lq, M, L, P, 2]``, in float32 where the model computes in half precision."""
        N, Lq, _ = query.shape
        offsets = self.sampling_offsets(query).reshape(N, Lq, self.n_heads, self.n_levels, self.n_points, 2)
        offsets = offsets.to(compute_dtype(offsets.dtype))
        points = reference_points[:, :, None, :, None, :]  # [N or 1, Lq, 1, L or 1, 1, 2 or 4]
        if reference_points.shape[-1] == 2:
            locations = points + offsets / level_sizes(shapes, offsets)
        else:
            locations = points[..., :2] + offsets / self.n_points * points[..., 2:] * 0.5
        return locations.to(offsets.dtype)

    def forward(
        self,
        query: Tensor,
        reference_points: Tensor,
        value: Tensor,
        spatial_shapes: SpatialShapes,
        level_start_index: LevelStarts,
        padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Attend from every query to the levels of ``value``.

        Args:
            query: ``[N, Lq, C]``.
            reference_points: ``[N or 1, Lq, L or 1, 2]`` (x, y), every map spans [0, 1], or ``[N or 1, Lq, L or 1, 4]``
                boxes (x, y of the centre, width, height). Offsets count pixels of the level around a point, and
                half boxes divided by ``n_points`` around a box. They keep their own precision if it is higher than the
                model's.
            value: ``[N, S, C]``, all levels one after another, each row by row.
            spatial_shapes: (h, w) of every level: Python integers, or an integer tensor ``[L, 2]``.
            level_start_index: first position of every level in S: Python integers, or an integer tensor ``[L]``.
            padding_mask: ``[N, S]`` bool, true where ``value`` is padding and counts as zero.

        Returns:
            ``[N, Lq, C]``.

        Raises:
            ValueError: shapes, types or devices do not fit together.
        """
        shapes = pairs('spatial_shapes', spatial_shapes)
        check_module_inputs(self.d_model, self.n_levels, query, reference_points, value, shapes, padding_mask)
        N, Lq, _ = query.shape

        value = self.value_proj(value)  # [N, S, M*D]
        if padding_mask is not None:
            value = value.masked_fill(padding_mask[..., None], 0.0)
        value = value.reshape(*value.shape[:2], self.n_heads, value.shape[2] // self.n_heads)
        logits = self.attention_weights(query).reshape(N, Lq, self.n_heads, self.n_levels * self.n_points)
        weights = softmax_over_points(logits)
        weights = weights.reshape(N, Lq, self.n_heads, self.n_levels, self.n_points)
        locations = self._locations(query, reference_points, shapes)
        attended: Tensor = self.output_proj(ms_deform_attn(value, shapes, level_start_index, locations, weights))
        return attended
