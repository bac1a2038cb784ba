"""Self-attention of the plain trunk, global and in windows (ViTDet, https://arxiv.org/abs/2203.16527)."""

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from .windows import cut_windows, join_windows


def attend(
    qkv: Tensor, num_heads: int, *, bias: Tensor | None = None, scale: float | None = None, dropout: float = 0.0
) -> Tensor:
    """Attend within each sequence of projected tokens.

    Args:
        qkv: ``[B, T, 3*C]``, queries, keys and values one after another.
        num_heads: number of heads M; divides C.
        bias: ``[M, T, T]`` in the type of ``qkv``, added to the scores before the softmax; its keys go from the last
            to the first.
        scale: factor of the scores; ``None`` is one over the root of a head's channels.
        dropout: rate at which attention weights are dropped.

    Returns:
        ``[B, T, C]``.
    """
    batch, length = qkv.shape[:2]
    dim = qkv.shape[2] // 3
    qkv = qkv.reshape(batch, length, 3, num_heads, dim // num_heads).permute(2, 0, 3, 1, 4)  # [3, B, M, T, D]
    query, key, value = qkv.unbind(0)
    mask = None
    if bias is not None:
        key, value = key.flip(2), value.flip(2)
        mask = bias[None]  # [1, M, T, T]; three dimensions would cost the CPU its fused kernel
    attended = F.scaled_dot_product_attention(query, key, value, mask, dropout, scale=scale)  # [B, M, T, D]
    return attended.transpose(1, 2).reshape(batch, length, dim)


def check_heads(dim: int, num_heads: int) -> None:
    """Refuse a number of heads that does not divide the channels.

    Raises:
        ValueError: ``num_heads`` does not divide ``dim``.
    """
    if dim % num_heads:
        raise InputError(f'num_heads={num_heads} must divide the embedding dimension, which is {dim}')


def check_window_size(window_size: object) -> None:
    """Refuse windows without a size.

    Raises:
        ValueError: ``window_size`` is not a positive integer.
    """
    if not isinstance(window_size, int) or window_size < 1:
        raise InputError(f'window_size must be a positive number of tokens, not {window_size!r}')


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
        check_heads(dim, num_heads)
        self.num_heads = num_heads
        self.attn_drop = attn_drop
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def attend(self, qkv: Tensor) -> Tensor:
        """Attend within each sequence of ``qkv`` ``[B, T, 3*C]``; returns ``[B, T, C]``."""
        return attend(qkv, self.num_heads, dropout=self.attn_drop if self.training else 0.0)

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
        check_window_size(window_size)
        self.window_size = window_size

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Attend within the windows of a ``height`` x ``width`` grid of ``tokens`` ``[N, height*width, C]``."""
        windows = self.attend(cut_windows(self.qkv(tokens), height, width, self.window_size))  # [B, side*side, C]
        return self.proj_drop(self.proj(join_windows(windows, height, width, self.window_size)))
