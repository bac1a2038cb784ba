"""Attention and block of BEiT's trunk (https://arxiv.org/abs/2106.08254), with a class token before the patches.

Original: segmentation/mmseg_custom/models/backbones/base/beit.py of ViT-Adapter.
"""

import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from .attention import attend, check_heads
from .block import LayerNorm
from .recompute import recompute
from .relative_position import RelativePositionBias


class BEiTAttention(RelativePositionBias):
    """Multi-head self-attention with a relative position bias. Keys have no bias of their own.

    Args:
        dim: channels of a token.
        num_heads: number of heads; divides ``dim``.
        window: (h, w) of the grid for which the bias table is; ``None`` for no table.
        qkv_bias: give query and value projections a bias.
        qk_scale: factor of the scores; ``None`` or 0 is one over the root of a head's channels.
        attn_drop: dropout of the attention weights in training.
        proj_drop: dropout of the result in training.

    Raises:
        ValueError: ``num_heads`` does not divide ``dim``.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        window: tuple[int, int] | None = None,
        qkv_bias: bool = False,
        qk_scale: float | None = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__(window, num_heads)
        check_heads(dim, num_heads)
        self.num_heads = num_heads
        self.scale = qk_scale or None
        self.attn_drop = attn_drop
        self.qkv = nn.Linear(dim, dim * 3, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dim)) if qkv_bias else None
        self.v_bias = nn.Parameter(torch.zeros(dim)) if qkv_bias else None
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def forward(self, tokens: Tensor, height: int, width: int, shared_bias: Tensor | None = None) -> Tensor:
        """Attend over all tokens.

        Args:
            tokens: ``[N, 1 + height*width, C]``, the class token first.
            height: rows of the grid of patches.
            width: columns of the grid of patches.
            shared_bias: added to this attention's own bias; laid out as by
                :func:`shared_ops.vit.relative_position_bias`.
        """
        qkv_bias = None
        if self.q_bias is not None and self.v_bias is not None:
            qkv_bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        qkv = F.linear(tokens, self.qkv.weight, qkv_bias)  # [N, T, 3*C]
        # the attention wants the bias in the type of its tokens, which autocast may have changed
        bias = self.relative_position_bias((height, width), qkv.dtype)
        if shared_bias is not None:
            shared_bias = shared_bias.to(qkv.dtype)
            bias = shared_bias if bias is None else bias + shared_bias
        dropout = self.attn_drop if self.training else 0.0
        attended = attend(qkv, self.num_heads, bias=bias, scale=self.scale, dropout=dropout)
        return self.proj_drop(self.proj(attended))


class BEiTBlock(nn.Module):
    """Attention and MLP, both pre-normalized, scaled (``gamma_1``, ``gamma_2``) and residual.

    Args:
        dim: channels of a token.
        num_heads: number of heads; divides ``dim``.
        window: (h, w) of the grid for which the bias table is; ``None`` for no table.
        mlp_ratio: hidden channels of the MLP, as a multiple of ``dim``.
        qkv_bias: give query and value projections a bias.
        qk_scale: factor of the attention's scores; ``None`` is one over the root of a head's channels.
        drop: dropout of the results of attention and MLP.
        attn_drop: dropout of the attention weights.
        drop_path: rate of stochastic depth.
        init_values: where the scales of both branches start; ``None`` for no scales.
        with_cp: recompute activations in the backward instead of keeping them.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        window: tuple[int, int] | None = None,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = False,
        qk_scale: float | None = None,
        drop: float = 0.0,
        attn_drop: float = 0.0,
        drop_path: float = 0.0,
        init_values: float | None = None,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.norm1 = LayerNorm(dim)
        self.attn = BEiTAttention(
            dim,
            num_heads,
            window=window,
            qkv_bias=qkv_bias,
            qk_scale=qk_scale,
            attn_drop=attn_drop,
            proj_drop=drop,
        )
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        self.norm2 = LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), drop=(0.0, drop))  # none between the layers, as in BERT
        self.gamma_1 = None if init_values is None else nn.Parameter(torch.full((dim,), float(init_values)))
        self.gamma_2 = None if init_values is None else nn.Parameter(torch.full((dim,), float(init_values)))

    def _forward(self, tokens: Tensor, height: int, width: int, shared_bias: Tensor | None) -> Tensor:
        attended = self.attn(self.norm1(tokens), height, width, shared_bias)
        tokens = tokens + self.drop_path(attended if self.gamma_1 is None else self.gamma_1 * attended)
        transformed = self.mlp(self.norm2(tokens))
        return tokens + self.drop_path(transformed if self.gamma_2 is None else self.gamma_2 * transformed)

    def forward(self, tokens: Tensor, height: int, width: int, shared_bias: Tensor | None = None) -> Tensor:
        """Transform ``tokens`` ``[N, 1 + height*width, C]``; ``shared_bias`` as for :class:`BEiTAttention`."""
        return recompute(self._forward, tokens, height, width, shared_bias, with_cp=self.with_cp)
