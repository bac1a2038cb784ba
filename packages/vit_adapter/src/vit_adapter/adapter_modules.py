"""Injector and its interaction with the extractor (ViT-Adapter, https://arxiv.org/abs/2205.08534, section 3.3 and 3.4).

Originals: segmentation/mmseg_custom/models/backbones/adapter_modules.py.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from shared_ops import MSDeformAttn
from shared_ops.vit import DeformInputs, Extractor, LayerNorm, TrunkBlock, recompute


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


def interaction_blocks(
    number: int,
    *,
    embed_dim: int,
    deform_num_heads: int,
    n_points: int,
    deform_ratio: float,
    init_values: float,
    with_cffn: bool,
    cffn_ratio: float,
    drop_path_rate: float,
    use_extra_extractor: bool = True,
    norm_layer: Callable[[int], nn.Module] = LayerNorm,
    with_cp: bool,
) -> list[InteractionBlock]:
    """Return the interactions of a backbone, under the names of its arguments.

    Args:
        number: how many.
        embed_dim: channels of a token.
        deform_num_heads: heads of the deformable attentions.
        n_points: sampling points of the deformable attentions, per head and level.
        deform_ratio: channels of the deformable attentions' values, as a multiple of ``embed_dim``.
        init_values: where the injectors' ``gamma`` starts.
        with_cffn: give the extractors a feed-forward network.
        cffn_ratio: its hidden channels, as a multiple of ``embed_dim``.
        drop_path_rate: stochastic depth of every extractor.
        use_extra_extractor: follow the last interaction with two more extractors.
        norm_layer: makes a normalization of so many channels.
        with_cp: recompute activations in the backward instead of keeping them.
    """
    return [
        InteractionBlock(
            embed_dim,
            num_heads=deform_num_heads,
            n_points=n_points,
            deform_ratio=deform_ratio,
            init_values=init_values,
            with_cffn=with_cffn,
            cffn_ratio=cffn_ratio,
            drop_path=drop_path_rate,
            norm_layer=norm_layer,
            extra_extractor=use_extra_extractor and index == number - 1,
            with_cp=with_cp,
        )
        for index in range(number)
    ]
