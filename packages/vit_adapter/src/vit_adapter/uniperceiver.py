"""Uni-Perceiver's trunk (https://arxiv.org/abs/2112.01522), as far as images need it.

Original: segmentation/mmseg_custom/models/backbones/base/uniperceiver.py of ViT-Adapter.

Shape notation: N batch, C channels of a token, H and W the token grid (stride 16).
"""

import torch
import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn

from shared_ops.vit import (
    attend,
    check_heads,
    check_window_size,
    cut_windows,
    join_windows,
    patch_grid,
    recompute,
    resize_position_embedding,
)
from shared_ops.vit.inputs import map_to_tokens

# Tokens of an image are those of a video's first frame.
_FRAMES = 8


class PatchEmbed(nn.Module):
    """Image to tokens, with an embedding of their places and of the frame.

    Args:
        img_size: side in pixels of the pretraining images.
        patch_size: side of a patch in pixels.
        in_chans: channels of the image.
        embed_dim: channels of a token.
    """

    def __init__(self, img_size: int, patch_size: int, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        self.pretrain_grid = patch_grid(img_size, patch_size)
        self.spatial_pos_embed = nn.Embedding(self.pretrain_grid[0] * self.pretrain_grid[1], embed_dim)
        self.temporal_pos_embed = nn.Embedding(_FRAMES, embed_dim)
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, image: Tensor) -> tuple[Tensor, int, int]:
        """Return the tokens ``[N, H*W, C]`` of ``image`` ``[N, in_chans, h, w]`` and the grid's H and W."""
        feature = self.proj(image)  # [N, C, H, W]
        height, width = feature.shape[-2:]
        position = resize_position_embedding(self.spatial_pos_embed.weight[None], self.pretrain_grid, (height, width))
        return map_to_tokens(feature) + position + self.temporal_pos_embed.weight[0], height, width


class VisualEmbed(nn.Module):
    """Image to normalized tokens.

    Args:
        img_size: side in pixels of the pretraining images.
        patch_size: side of a patch in pixels.
        in_chans: channels of the image.
        embed_dim: channels of a token.
    """

    def __init__(self, img_size: int, patch_size: int, in_chans: int, embed_dim: int) -> None:
        super().__init__()
        self.embeddings_norm = nn.LayerNorm(embed_dim)
        self.patch_embed = PatchEmbed(img_size, patch_size, in_chans, embed_dim)

    def forward(self, image: Tensor) -> tuple[Tensor, int, int]:
        """Return the tokens ``[N, H*W, C]`` of ``image`` ``[N, in_chans, h, w]`` and the grid's H and W."""
        tokens, height, width = self.patch_embed(image)
        return self.embeddings_norm(tokens), height, width


class SelfAttention(nn.Module):
    """Multi-head self-attention over all tokens, or within windows.

    A grid that the windows do not divide is filled up with zeros *before* the projection, so the padding takes part
    with the projection's bias as keys and values; in a plain ViT it is filled up after it
    (:class:`shared_ops.vit.WindowedAttention`).

    Args:
        dim: channels of a token.
        num_heads: number of heads; divides ``dim``.
        window_size: side in tokens of the windows; ``None`` attends globally.

    Raises:
        ValueError: ``num_heads`` does not divide ``dim``, or ``window_size`` is not a positive integer.
    """

    def __init__(self, dim: int, num_heads: int, window_size: int | None = None) -> None:
        super().__init__()
        check_heads(dim, num_heads)
        if window_size is not None:
            check_window_size(window_size)
        self.num_heads = num_heads
        self.window_size = window_size
        self.in_proj = nn.Linear(dim, dim * 3)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Attend over ``tokens`` ``[N, height*width, C]``."""
        if self.window_size is None:
            return self.out_proj(attend(self.in_proj(tokens), self.num_heads))
        windows = cut_windows(tokens, height, width, self.window_size)  # [B, side*side, C]
        windows = attend(self.in_proj(windows), self.num_heads)
        return self.out_proj(join_windows(windows, height, width, self.window_size))


class Layer(nn.Module):
    """Attention and MLP, both pre-normalized, scaled (``gamma_1``, ``gamma_2``) and residual.

    Args:
        dim: channels of a token.
        num_heads: number of heads; divides ``dim``.
        mlp_ratio: hidden channels of the MLP, as a multiple of ``dim``.
        drop_path: rate of stochastic depth.
        window_size: side in tokens of the attention's windows; ``None`` attends globally.
        with_cp: recompute activations in the backward instead of keeping them.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        window_size: int | None = None,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.norm1 = nn.LayerNorm(dim)
        self.self_attn = SelfAttention(dim, num_heads, window_size)
        self.gamma_1 = nn.Parameter(torch.zeros(dim))
        self.norm2 = nn.LayerNorm(dim)
        self.linear1 = nn.Linear(dim, int(dim * mlp_ratio))
        self.linear2 = nn.Linear(int(dim * mlp_ratio), dim)
        self.gamma_2 = nn.Parameter(torch.zeros(dim))
        self.drop_path = DropPath(drop_path) if drop_path > 0 else nn.Identity()

    def _forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        attended = self.self_attn(self.norm1(tokens), height, width)
        tokens = tokens + self.gamma_1 * self.drop_path(attended)
        transformed = self.linear2(F.gelu(self.linear1(self.norm2(tokens))))
        return tokens + self.gamma_2 * self.drop_path(transformed)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Transform ``tokens`` ``[N, height*width, C]``."""
        return recompute(self._forward, tokens, height, width, with_cp=self.with_cp)
