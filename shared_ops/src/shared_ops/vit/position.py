"""Absolute position embeddings for other grids than the one they were trained on."""

import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from .inputs import map_to_tokens, tokens_to_map


def resize_position_embedding(position_embedding: Tensor, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Interpolate a position embedding, bicubic with pixel centres aligned (``align_corners=False``).

    Args:
        position_embedding: ``[1, grid_h*grid_w, C]``, row by row, without class token.
        grid: (h, w) of the grid in which it is given, in patches.
        size: (h, w) of the grid that is wanted.

    Returns:
        ``[1, h*w, C]``.

    Raises:
        ValueError: ``position_embedding`` does not have ``grid_h*grid_w`` rows.

    Example:
        >>> import torch
        >>> resize_position_embedding(torch.rand(1, 14 * 14, 8), grid=(14, 14), size=(32, 40)).shape
        torch.Size([1, 1280, 8])
    """
    if position_embedding.shape[1] != grid[0] * grid[1]:
        raise InputError(
            f'position_embedding has {position_embedding.shape[1]} rows, but a grid of {grid[0]}x{grid[1]} patches '
            f'needs {grid[0] * grid[1]}; img_size and pretrain_size must be the size of the pretraining images'
        )
    embedding = tokens_to_map(position_embedding, *grid)  # [1, C, grid_h, grid_w]
    return map_to_tokens(F.interpolate(embedding, size=size, mode='bicubic', align_corners=False))
