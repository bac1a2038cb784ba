"""One block of the plain trunk (ViT, equations 2 and 3), with CaiT's layer scale."""

from functools import partial

import torch
from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from .attention import Attention, WindowedAttention
from .recompute import recompute

# ViT's LayerNorm; PyTorch's default epsilon is 1e-5.
LayerNorm = partial(nn.LayerNorm, eps=1e-6)


class Block(nn.Module):
    """Attention and MLP, both pre-normalized, scaled (``gamma1``, ``gamma2``) and residual.

    Args:
        dim: channels of a token.
        num_heads: number of heads; divides ``dim``.
        mlp_ratio: hidden channels of the MLP, as a multiple of ``dim``.
        qkv_bias: give query, key and value projections a bias.
        drop: dropout in the MLP and of the attention's result.
        attn_drop: dropout of the attention weights.
        drop_path: rate of stochastic depth.
        window_size: side in tokens of the attention's windows; ``None`` attends globally.
        layer_scale: learn a scale per channel of both branches, starting from 1.
        with_cp: recompute activations in the backward instead of keeping them.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = False,
        drop: float = 0.0,
        attn_drop: float = 0.0,
        drop_path: float = 0.0,
        window_size: int | None = None,
        layer_scale: bool = False,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.norm1 = LayerNorm(dim)
        self.attn = (
            Attention(dim, num_heads, qkv_bias=qkv_bias, attn_drop=attn_drop, proj_drop=drop)
            if window_size is None
            else WindowedAttention(dim, num_heads, window_size, qkv_bias=qkv_bias, attn_drop=attn_drop, proj_drop=drop)
        )
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()
        self.norm2 = LayerNorm(dim)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), drop=drop)
        self.gamma1 = nn.Parameter(torch.ones(dim)) if layer_scale else None
        self.gamma2 = nn.Parameter(torch.ones(dim)) if layer_scale else None

    def _forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        attended = self.attn(self.norm1(tokens), height, width)
        tokens = tokens + self.drop_path(attended if self.gamma1 is None else self.gamma1 * attended)
        transformed = self.mlp(self.norm2(tokens))
        return tokens + self.drop_path(transformed if self.gamma2 is None else self.gamma2 * transformed)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Transform ``tokens`` ``[N, height*width, C]``."""
        return recompute(self._forward, tokens, height, width, with_cp=self.with_cp)
