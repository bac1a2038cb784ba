"""Injector, extractor and their interaction (ViT-Adapter, https://arxiv.org/abs/2205.08534, section 3.3 and 3.4).

Originals: segmentation/mmseg_custom/models/backbones/adapter_modules.py.
"""

from collections.abc import Callable, Iterable

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from shared_ops import MSDeformAttn
from shared_ops.vit import ConvFFN, DeformInputs, LayerNorm, recompute

# One block of a trunk: tokens, height and width of their grid.
TrunkBlock = Callable[[Tensor, int, int], Tensor]


class Injector(nn.Module):
    """Cross-attention from the trunk's tokens to the spatial features, scaled by ``gamma`` (equation 2).

    Args:
        dim: channels of tokens and features.
        num_heads: heads of the deformable attention.
        n_points: sampling points per head and level.
        deform_ratio: channels of the attention's values, as a multiple of ``dim``.
        init_values: where ``gamma`` starts.
        norm_layer: makes a normalization of so many channels.
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
        norm_layer: Callable[[int], nn.Module] = LayerNorm,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.query_norm = norm_layer(dim)
        self.feat_norm = norm_layer(dim)
        self.attn = MSDeformAttn(dim, n_levels=3, n_heads=num_heads, n_points=n_points, ratio=deform_ratio)
        self.gamma = nn.Parameter(torch.full((dim,), init_values))

    def _forward(self, query: Tensor, feat: Tensor, inputs: DeformInputs) -> Tensor:
        attended = self.attn(
            self.query_norm(query),
            inputs.reference_points,
            self.feat_norm(feat),
            inputs.spatial_shapes,
            inputs.level_start_index,
        )
        return query + self.gamma * attended

    def forward(self, query: Tensor, feat: Tensor, inputs: DeformInputs) -> Tensor:
        """Update the tokens ``query`` ``[N, H*W, C]`` from the features ``feat`` ``[N, S, C]``."""
        return recompute(self._forward, query, feat, inputs, with_cp=self.with_cp)


class Extractor(nn.Module):
    """Cross-attention from the spatial features to the trunk's tokens, and a feed-forward network (equations 3, 4).

    Args:
        dim: channels of tokens and features.
        num_heads: heads of the deformable attention.
        n_points: sampling points per head.
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
        self.attn = MSDeformAttn(dim, n_levels=1, n_heads=num_heads, n_points=n_points, ratio=deform_ratio)
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
        """Update the features ``query`` ``[N, S, C]`` from the tokens ``feat`` ``[N, height*width, C]``."""
        return recompute(self._forward, query, feat, inputs, height, width, with_cp=self.with_cp)


class InteractionBlock(nn.Module):
    """Inject, run a part of the trunk, extract.

    Args:
        dim: channels of tokens and features.
        num_heads: heads of the deformable attentions.
        n_points: sampling points per head and level.
        deform_ratio: channels of the attentions' values, as a multiple of ``dim``.
        init_values: where the injector's ``gamma`` starts.
        with_cffn: whether the extractors have a feed-forward network.
        cffn_ratio: its hidden channels, as a multiple of ``dim``.
        drop_path: its rate of stochastic depth.
        norm_layer: makes a normalization of so many channels.
        extra_extractor: follow the extractor with two more.
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
        with_cffn: bool = True,
        cffn_ratio: float = 0.25,
        drop_path: float = 0.0,
        norm_layer: Callable[[int], nn.Module] = LayerNorm,
        extra_extractor: bool = False,
        with_cp: bool = False,
    ) -> None:
        super().__init__()

        def extractor() -> Extractor:
            return Extractor(
                dim,
                num_heads=num_heads,
                n_points=n_points,
                deform_ratio=deform_ratio,
                with_cffn=with_cffn,
                cffn_ratio=cffn_ratio,
                drop_path=drop_path,
                norm_layer=norm_layer,
                with_cp=with_cp,
            )

        self.injector = Injector(
            dim,
            num_heads=num_heads,
            n_points=n_points,
            deform_ratio=deform_ratio,
            init_values=init_values,
            norm_layer=norm_layer,
            with_cp=with_cp,
        )
        self.extractor = extractor()
        self.extra_extractors = nn.ModuleList(extractor() for _ in range(2 if extra_extractor else 0))

    def forward(
        self,
        x: Tensor,
        c: Tensor,
        class_token: Tensor | None,
        blocks: Iterable[TrunkBlock],
        injector_inputs: DeformInputs,
        extractor_inputs: DeformInputs,
        height: int,
        width: int,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the updated ``x``, ``c`` and ``class_token``.

        Args:
            x: the trunk's tokens, ``[N, height*width, C]``.
            c: the spatial features, ``[N, S, C]``.
            class_token: ``[N, 1, C]``, which goes through the blocks alone; ``None`` if the trunk has none.
            blocks: this part of the trunk.
            injector_inputs: positions of the tokens on the spatial features.
            extractor_inputs: positions of the spatial features on the tokens.
            height: rows of the grid of tokens.
            width: columns of the grid of tokens.
        """
        x = self.injector(x, c, injector_inputs)
        if class_token is not None:
            x = torch.cat((class_token, x), dim=1)
        for block in blocks:
            x = block(x, height, width)
        if class_token is not None:
            class_token, x = x[:, :1], x[:, 1:]
        c = self.extractor(c, x, extractor_inputs, height, width)
        for extra in self.extra_extractors:
            c = extra(c, x, extractor_inputs, height, width)
        return x, c, class_token
