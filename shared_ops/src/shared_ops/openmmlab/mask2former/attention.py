"""The attention modules of Mask2Former's transformers, in the place of MMCV's and called as those are.

Shape notation: N batch, Q queries, K keys, S positions summed over levels, L levels, M heads, C channels.
"""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from shared_ops import MSDeformAttn


class DeformableSelfAttention(MSDeformAttn):
    """Multi-scale deformable attention of the pixel decoder's encoder, on the kernels of shared_ops.

    State-dict keys are those of MMCV's ``MultiScaleDeformableAttention``, which calls compiled code on CUDA alone.

    Args:
        embed_dims: C.
        num_heads: M.
        num_levels: L.
        num_points: sampling points for each head and level.
        dropout: rate at which attended values are dropped before they are added to the queries.
    """

    def __init__(self, *, embed_dims: int, num_heads: int, num_levels: int, num_points: int, dropout: float) -> None:
        super().__init__(embed_dims, n_levels=num_levels, n_heads=num_heads, n_points=num_points)
        self.dropout = nn.Dropout(dropout)

    def forward(  # type: ignore[override]  # MMDetection's encoder layers call it so
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        query_pos: Tensor,
        key_pos: Tensor,
        key_padding_mask: Tensor | None,
        spatial_shapes: list[tuple[int, int]],
        level_start_index: list[int],
        valid_ratios: None,
        reference_points: Tensor,
    ) -> Tensor:
        """Add to every position what it attends to in all levels.

        Args:
            query: ``[N, S, C]``, all levels one after another.
            key: not needed, since positions are not compared.
            value: ``[N, S, C]``.
            query_pos: ``[N or 1, S, C]``, added to ``query`` where offsets and weights are predicted.
            key_pos: not needed.
            key_padding_mask: ``[N, S]`` bool, true where ``value`` counts as zero; None for nowhere.
            spatial_shapes: (h, w) of every level.
            level_start_index: first position of every level.
            valid_ratios: not needed, since no part of a level is padding.
            reference_points: ``[N or 1, S, L or 1, 2]`` (x, y) in [0, 1].

        Returns:
            ``[N, S, C]``.
        """
        attended = super().forward(
            query + query_pos, reference_points, value, spatial_shapes, level_start_index, key_padding_mask
        )
        return query + self.dropout(attended)


class MaskedAttention(nn.Module):
    """Multi-head attention of the transformer decoder; a mask is shared by the heads instead of repeated for each.

    State-dict keys are those of MMCV's ``MultiheadAttention``.

    Args:
        attention: MMCV's module, whose parameters and dropout rates are taken over.
    """

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.attn: nn.MultiheadAttention = attention.attn
        self.proj_drop: nn.Module = attention.proj_drop
        self.dropout_layer: nn.Module = attention.dropout_layer

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        query_pos: Tensor,
        key_pos: Tensor,
        attn_mask: Tensor | None = None,
        key_padding_mask: None = None,
    ) -> Tensor:
        """Add to every query what it attends to.

        Args:
            query: ``[N, Q, C]``.
            key: ``[N, K, C]``.
            value: ``[N, K, C]``.
            query_pos: ``[N or 1, Q, C]``, added to ``query``.
            key_pos: ``[N or 1, K, C]``, added to ``key``.
            attn_mask: ``[N, 1, Q, K]`` bool, true where a query attends; None for everywhere.
            key_padding_mask: not needed, since no key is padding.

        Returns:
            ``[N, Q, C]``.
        """
        weights = self.attn.in_proj_weight.chunk(3)
        biases = self.attn.in_proj_bias.chunk(3)
        inputs = (query + query_pos, key + key_pos, value)
        queries, keys, values = (
            F.linear(tokens, weight, bias).reshape(*tokens.shape[:2], self.attn.num_heads, -1).transpose(1, 2)
            for tokens, weight, bias in zip(inputs, weights, biases, strict=True)
        )  # [N, M, Q or K, C/M]
        dropout = self.attn.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=attn_mask, dropout_p=dropout)
        attended = self.attn.out_proj(attended.transpose(1, 2).flatten(2))  # [N, Q, C]
        return query + self.dropout_layer(self.proj_drop(attended))


class RecomputedLayers(nn.Sequential):
    """Layers whose activations are computed again in the backward instead of being kept."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply the layers to ``input``."""
        layers: Callable[[Tensor], Tensor] = super().forward
        output: Tensor = checkpoint(layers, input, use_reentrant=False) if input.requires_grad else layers(input)
        return output
