"""CNN-Transformer bidirectional fusion interaction (ViT-CoMer, https://arxiv.org/abs/2403.07392, section 3.3).

Original: segmentation/mmseg_custom/models/backbones/comer_modules.py.

Shape notation: N batch, C channels, H and W the token grid (stride 16), S = 21/4 * H*W spatial features, those of
stride 8 first, then 16, then 32. ``x`` are the trunk's tokens ``[N, H*W, C]``, ``c`` the features ``[N, S, C]``.
"""

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from shared_ops import MSDeformAttn
from shared_ops.vit import (
    ConvFFN,
    DeformInputs,
    Extractor,
    LayerNorm,
    map_to_tokens,
    recompute,
    split_levels,
    tokens_to_map,
)


def add_tokens(c: Tensor, x: Tensor, height: int, width: int) -> Tensor:
    """Add the trunk's tokens to the features of their stride; returns ``[N, S, C]``."""
    c2, c3, c4 = split_levels(c, height, width)
    return torch.cat((c2, c3 + x, c4), dim=1)


def sum_levels(c: Tensor, height: int, width: int) -> Tensor:
    """Resize the features of strides 8 and 32 to stride 16 and add all three; returns ``[N, H*W, C]``."""
    c2, c3, c4 = split_levels(c, height, width)
    finer, coarser = tokens_to_map(c2, height * 2, width * 2), tokens_to_map(c4, height // 2, width // 2)
    resized = [
        F.interpolate(level, size=(height, width), mode='bilinear', align_corners=False) for level in (finer, coarser)
    ]
    return map_to_tokens(resized[0]) + c3 + map_to_tokens(resized[1])


class CTIToV(nn.Module):
    """From the features to the trunk's tokens: features look at one another and are added, scaled by ``gamma``.

    Args:
        dim: channels of tokens and features.
        num_heads: heads of the deformable attention.
        n_points: sampling points per head and level.
        deform_ratio: channels of the attention's values, as a multiple of ``dim``.
        init_values: where ``gamma`` starts.
        cffn_ratio: hidden channels of the feed-forward network, as a multiple of ``dim``.
        drop_path: rate of stochastic depth of the feed-forward branch.
        with_cp: recompute activations in the backward instead of keeping them.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int = 6,
        n_points: int = 4,
        deform_ratio: float = 1.0,
        init_values: float = 0.0,
        cffn_ratio: float = 0.25,
        drop_path: float = 0.0,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.query_norm = LayerNorm(dim)
        self.feat_norm = LayerNorm(dim)
        self.attn = MSDeformAttn(dim, n_levels=3, n_heads=num_heads, n_points=n_points, ratio=deform_ratio)
        self.gamma = nn.Parameter(torch.full((dim,), init_values))
        self.ffn = ConvFFN(dim, int(dim * cffn_ratio))
        self.ffn_norm = LayerNorm(dim)
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def _forward(self, c: Tensor, x: Tensor, inputs: DeformInputs, height: int, width: int) -> Tensor:
        # the features that asked are not added to what they found
        found = self.attn(
            self.query_norm(c),
            inputs.reference_points,
            self.feat_norm(c),
            inputs.spatial_shapes,
            inputs.level_start_index,
        )
        found = found + self.drop_path(self.ffn(self.ffn_norm(found), height, width))
        return x + self.gamma * sum_levels(found, height, width)

    def forward(self, x: Tensor, c: Tensor, inputs: DeformInputs, height: int, width: int) -> Tensor:
        """Return the updated tokens ``x``; ``inputs`` are of features that look at features."""
        return recompute(self._forward, c, x, inputs, height, width, with_cp=self.with_cp)


class CTIToC(nn.Module):
    """From the trunk's tokens to the features: they are added, and the features look at one another.

    Args:
        dim: channels of tokens and features.
        num_heads: heads of the deformable attention.
        n_points: sampling points per head and level.
        deform_ratio: channels of the attention's values, as a multiple of ``dim``.
        with_cffn: follow the attention with a feed-forward network.
        cffn_ratio: its hidden channels, as a multiple of ``dim``.
        drop_path: its rate of stochastic depth.
        cnn_feature_interaction: whether the features look at one another at all.
        with_cp: recompute activations in the backward instead of keeping them.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int = 6,
        n_points: int = 4,
        deform_ratio: float = 1.0,
        with_cffn: bool = True,
        cffn_ratio: float = 0.25,
        drop_path: float = 0.0,
        cnn_feature_interaction: bool = True,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        # there without the interaction as well, where nothing uses them: published checkpoints have them
        self.query_norm = LayerNorm(dim)
        self.feat_norm = LayerNorm(dim)
        self.cnn_feature_interaction = cnn_feature_interaction
        if cnn_feature_interaction:
            self.cfinter = Extractor(
                dim,
                n_levels=3,
                num_heads=num_heads,
                n_points=n_points,
                deform_ratio=deform_ratio,
                with_cffn=with_cffn,
                cffn_ratio=cffn_ratio,
                drop_path=drop_path,
            )

    def _interact(self, c: Tensor, inputs: DeformInputs, height: int, width: int) -> Tensor:
        if not self.cnn_feature_interaction:
            return c
        # normalized here and once more inside, which also adds to the normalized features instead of to `c`
        return self.cfinter(self.query_norm(c), self.feat_norm(c), inputs, height, width)

    def _forward(self, c: Tensor, x: Tensor, inputs: DeformInputs, height: int, width: int) -> Tensor:
        return self._interact(add_tokens(c, x, height, width), inputs, height, width)

    def forward(self, c: Tensor, x: Tensor, inputs: DeformInputs, height: int, width: int) -> Tensor:
        """Return the updated features ``c``; ``inputs`` are of features that look at features."""
        return recompute(self._forward, c, x, inputs, height, width, with_cp=self.with_cp)


class ExtraCTI(CTIToC):
    """As :class:`CTIToC`, with one more feed-forward network before the features look at one another."""

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int = 6,
        n_points: int = 4,
        deform_ratio: float = 1.0,
        with_cffn: bool = True,
        cffn_ratio: float = 0.25,
        drop_path: float = 0.0,
        cnn_feature_interaction: bool = True,
        with_cp: bool = False,
    ) -> None:
        super().__init__(
            dim,
            num_heads=num_heads,
            n_points=n_points,
            deform_ratio=deform_ratio,
            with_cffn=with_cffn,
            cffn_ratio=cffn_ratio,
            drop_path=drop_path,
            cnn_feature_interaction=cnn_feature_interaction,
            with_cp=with_cp,
        )
        self.with_cffn = with_cffn
        if with_cffn:
            self.ffn = ConvFFN(dim, int(dim * cffn_ratio))
            self.ffn_norm = LayerNorm(dim)
            self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def _forward(self, c: Tensor, x: Tensor, inputs: DeformInputs, height: int, width: int) -> Tensor:
        c = add_tokens(c, x, height, width)
        if self.with_cffn:
            c = c + self.drop_path(self.ffn(self.ffn_norm(c), height, width))
        return self._interact(c, inputs, height, width)
