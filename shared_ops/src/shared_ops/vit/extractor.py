"""How spatial features take up others (ViT-Adapter, https://arxiv.org/abs/2205.08534, section 3.4)."""

from collections.abc import Callable

from timm.layers import DropPath
from torch import Tensor, nn

from shared_ops import MSDeformAttn

from .block import LayerNorm
from .conv_ffn import ConvFFN
from .recompute import recompute
from .reference_points import DeformInputs


class Extractor(nn.Module):
    """Deformable attention from the spatial features to others, and a feed-forward network (equations 3 and 4).

    ViT-Adapter's features look at the trunk's tokens, ViT-CoMer's at one another.

    Args:
        dim: channels of both kinds of features.
        n_levels: levels of the features that are looked at.
        num_heads: heads of the deformable attention.
        n_points: sampling points per head and level.
        deform_ratio: channels of the attention's values, as a multiple of ``dim``.
        with_cffn: whether the feed-forward network is there.
        cffn_ratio: hidden channels of the feed-forward network, as a multiple of ``dim``.
        drop_path: rate of stochastic depth of the feed-forward branch; the attention's branch has none.
        norm_layer: makes a normalization of so many channels.
        with_cp: recompute activations in the backward instead of keeping them.
    """

    def __init__(
        self,
        dim: int,
        *,
        n_levels: int = 1,
        num_heads: int = 6,
        n_points: int = 4,
        deform_ratio: float = 1.0,
        with_cffn: bool = True,
        cffn_ratio: float = 0.25,
        drop_path: float = 0.0,
        norm_layer: Callable[[int], nn.Module] = LayerNorm,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.query_norm = norm_layer(dim)
        self.feat_norm = norm_layer(dim)
        self.attn = MSDeformAttn(dim, n_levels=n_levels, n_heads=num_heads, n_points=n_points, ratio=deform_ratio)
        self.with_cffn = with_cffn
        if with_cffn:
            self.ffn = ConvFFN(dim, int(dim * cffn_ratio))
            self.ffn_norm = norm_layer(dim)
            self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def _forward(self, query: Tensor, feat: Tensor, inputs: DeformInputs, height: int, width: int) -> Tensor:
        query = query + self.attn(
            self.query_norm(query),
            inputs.reference_points,
            self.feat_norm(feat),
            inputs.spatial_shapes,
            inputs.level_start_index,
        )
        if self.with_cffn:
            query = query + self.drop_path(self.ffn(self.ffn_norm(query), height, width))
        return query

    def forward(self, query: Tensor, feat: Tensor, inputs: DeformInputs, height: int, width: int) -> Tensor:
        """Update the features ``query`` ``[N, S, C]`` from ``feat``, which are laid out as ``inputs`` says.

        ``height`` and ``width`` are those of stride 16.
        """
        return recompute(self._forward, query, feat, inputs, height, width, with_cp=self.with_cp)
