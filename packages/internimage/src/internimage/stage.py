"""Blocks of deformable convolutions, and the stages that they make up (https://arxiv.org/abs/2211.05778, section 3.2).

Shape notation: N batch, C channels, H and W rows and columns.
"""

from collections.abc import Sequence

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from shared_ops import DCNv3
from shared_ops.errors import InputError
from shared_ops.vit import recompute

from .layers import MLP, Downsample
from .norm import norm


class Block(nn.Module):
    """A deformable convolution and an MLP, each added to its input (original: ``InternImageLayer``).

    Args:
        channels: C.
        groups: groups of the convolution.
        mlp_ratio: hidden channels of the MLP, as a multiple of ``channels``.
        drop: rate of dropout in the MLP.
        drop_path: rate of stochastic depth.
        act_layer: ``'GELU'``, ``'ReLU'`` or ``'SiLU'``.
        norm_layer: norm inside the convolution, ``'LN'`` or ``'BN'``; those of the block itself are layer norms.
        post_norm: normalize what a branch gives (S, B, L, XL, G) instead of what it gets.
        layer_scale: where the scales of the branches' channels start; None for no scales.
        offset_scale: factor of the convolution's kernel and offsets.
        with_cp: recompute activations in the backward instead of keeping them.
        dw_kernel_size: rows and columns of the depthwise convolution inside the deformable one; None for 3.
        res_post_norm: normalize what a branch gives as well as what it gets (H).
        center_feature_scale: mix the convolution's input into its result.

    Raises:
        ValueError: ``res_post_norm`` beside ``post_norm`` or ``layer_scale``.
    """

    def __init__(
        self,
        channels: int,
        groups: int,
        *,
        mlp_ratio: float,
        drop: float,
        drop_path: float,
        act_layer: str,
        norm_layer: str,
        post_norm: bool,
        layer_scale: float | None,
        offset_scale: float,
        with_cp: bool,
        dw_kernel_size: int | None,
        res_post_norm: bool,
        center_feature_scale: bool,
    ) -> None:
        super().__init__()
        if res_post_norm and (post_norm or layer_scale is not None):
            raise InputError(
                f'res_post_norm=True needs post_norm=False and layer_scale=None, but they are {post_norm} and '
                f'{layer_scale}: the original ignores it beside them'
            )
        self.post_norm = post_norm
        self.layer_scale = layer_scale is not None
        self.res_post_norm = res_post_norm
        self.with_cp = with_cp

        self.norm1 = norm(channels)
        self.dcn = DCNv3(
            channels,
            group=groups,
            offset_scale=offset_scale,
            act_layer=act_layer,
            norm_layer=norm_layer,
            dw_kernel_size=dw_kernel_size,
            center_feature_scale=center_feature_scale,
        )
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        self.norm2 = norm(channels)
        self.mlp = MLP(channels, int(channels * mlp_ratio), act_layer, drop)
        if layer_scale is not None:
            self.gamma1 = nn.Parameter(torch.full((channels,), float(layer_scale)))
            self.gamma2 = nn.Parameter(torch.full((channels,), float(layer_scale)))
        if res_post_norm:
            self.res_post_norm1 = norm(channels)
            self.res_post_norm2 = norm(channels)

    def _forward(self, x: Tensor) -> Tensor:
        convolved = self.norm1(self.dcn(x)) if self.post_norm else self.dcn(self.norm1(x))
        if self.res_post_norm:
            convolved = self.res_post_norm1(convolved)
        if self.layer_scale:
            convolved = self.gamma1 * convolved
        x = x + self.drop_path(convolved)

        mixed = self.norm2(self.mlp(x)) if self.post_norm else self.mlp(self.norm2(x))
        if self.res_post_norm:
            mixed = self.res_post_norm2(mixed)
        if self.layer_scale:
            mixed = self.gamma2 * mixed
        return x + self.drop_path(mixed)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, H, W, C]`` for ``x`` of that shape."""
        return recompute(self._forward, x, with_cp=self.with_cp)


class Stage(nn.Module):
    """The blocks of one stride (original: ``InternImageBlock``).

    Args:
        blocks: the blocks.
        channels: C.
        final_norm: normalize what the last block gives.
        post_norm_block_ids: blocks (from 0) whose results are normalized before the next one gets them.
        downsample: what makes the input of the next stage; None for the last stage.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        *,
        channels: int,
        final_norm: bool,
        post_norm_block_ids: Sequence[int],
        downsample: Downsample | None,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        if final_norm:
            self.norm = norm(channels)
        self.final_norm = final_norm
        self.post_norm_block_ids = tuple(post_norm_block_ids)
        self.post_norms = nn.ModuleList(norm(channels) for _ in self.post_norm_block_ids)
        self.downsample = downsample

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the stage's result ``[N, H, W, C]``, and the same after downsampling where there is one.

        Args:
            x: ``[N, H, W, C]``.
        """
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.post_norm_block_ids:
                x = self.post_norms[self.post_norm_block_ids.index(index)](x)
        if self.final_norm:
            x = self.norm(x)
        return x, x if self.downsample is None else self.downsample(x)
