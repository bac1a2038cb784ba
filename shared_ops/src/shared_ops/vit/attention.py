"""Self-attention of the plain trunk, global and in windows (ViTDet, https://arxiv.org/abs/2203.16527)."""

import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention over all tokens.

    Args:
        dim: channels of a token.
        num_heads: number of heads; divides ``dim``.
        qkv_bias: give query, key and value projections a bias.
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
        qkv_bias: bool = False,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'num_heads={num_heads} must divide the embedding dimension, which is {dim}')
        self.num_heads = num_heads
        self.attn_drop = attn_drop
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def attend(self, qkv: Tensor) -> Tensor:
        """Attend within each sequence of ``qkv`` ``[B, T, 3*C]``; returns ``[B, T, C]``."""
        batch, length = qkv.shape[:2]
        dim = qkv.shape[2] // 3
        qkv = qkv.reshape(batch, length, 3, self.num_heads, dim // self.num_heads).permute(
            2, 0, 3, 1, 4
        )  # [3, B, M, T, D]
        query, key, value = qkv.unbind(0)
        dropout = self.attn_drop if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)  # [B, M, T, D]
        return attended.transpose(1, 2).reshape(batch, length, dim)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Attend over all ``tokens`` ``[N, height*width, C]``."""
        return self.proj_drop(self.proj(self.attend(self.qkv(tokens))))


class WindowedAttention(Attention):
    """Self-attention within windows of ``window_size`` x ``window_size`` tokens.

    A grid that the windows do not divide is filled up with zeros *after* the query, key and value projection, so
    the padding takes part as keys and values of zero, without the projection's bias.

    Args:
        dim: channels of a token.
        num_heads: number of heads; divides ``dim``.
        window_size: side of a window in tokens.
        qkv_bias: give query, key and value projections a bias.
        attn_drop: dropout of the attention weights in training.
        proj_drop: dropout of the result in training.

    Raises:
        ValueError: ``window_size`` is not a positive integer.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: int,
        *,
        qkv_bias: bool = False,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__(dim, num_heads, qkv_bias=qkv_bias, attn_drop=attn_drop, proj_drop=proj_drop)
        if not isinstance(window_size, int) or window_size < 1:
            raise ValueError(f'window_size must be a positive number of tokens, not {window_size!r}')
        self.window_size = window_size

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Attend within the windows of a ``height`` x ``width`` grid of ``tokens`` ``[N, height*width, C]``."""
        batch, _, dim = tokens.shape
        side = self.window_size
        rows, columns = -(-height // side), -(-width // side)

        grid = self.qkv(tokens).reshape(batch, height, width, 3 * dim)
        grid = F.pad(grid, (0, 0, 0, columns * side - width, 0, rows * side - height))
        windows = grid.reshape(batch, rows, side, columns, side, 3 * dim).transpose(2, 3)
        windows = self.attend(
            windows.reshape(batch * rows * columns, side * side, 3 * dim)
        )  # [N*rows*columns, side*side, C]

        grid = windows.reshape(batch, rows, columns, side, side, dim).transpose(2, 3)
        grid = grid.reshape(batch, rows * side, columns * side, dim)[:, :height, :width]
        return self.proj_drop(self.proj(grid.reshape(batch, height * width, dim)))
