"""A grid of tokens cut into square windows, and put together again (ViTDet, https://arxiv.org/abs/2203.16527)."""

import torch.nn.functional as F
from torch import Tensor


def cut_windows(tokens: Tensor, height: int, width: int, side: int) -> Tensor:
    """Cut a grid into windows; where they do not divide it, zeros fill it up on the right and at the bottom.

    Args:
        tokens: ``[N, height*width, C]``.
        height: rows of the grid.
        width: columns of the grid.
        side: rows and columns of a window.

    Returns:
        ``[N * ceil(height/side) * ceil(width/side), side*side, C]``.

    Example:
        >>> import torch
        >>> windows = cut_windows(torch.rand(1, 4 * 6, 8), height=4, width=6, side=3)
        >>> windows.shape  # 2 x 2 windows: two rows of zeros fill the grid up
        torch.Size([4, 9, 8])
        >>> join_windows(windows, height=4, width=6, side=3).shape
        torch.Size([1, 24, 8])
    """
    batch, _, dim = tokens.shape
    rows, columns = -(-height // side), -(-width // side)
    grid = tokens.reshape(batch, height, width, dim)
    grid = F.pad(grid, (0, 0, 0, columns * side - width, 0, rows * side - height))
    windows = grid.reshape(batch, rows, side, columns, side, dim).transpose(2, 3)
    return windows.reshape(batch * rows * columns, side * side, dim)


def join_windows(windows: Tensor, height: int, width: int, side: int) -> Tensor:
    """Undo :func:`cut_windows`: return the tokens ``[N, height*width, C]`` without what filled the grid up."""
    rows, columns = -(-height // side), -(-width // side)
    dim = windows.shape[2]
    batch = windows.shape[0] // (rows * columns)
    grid = windows.reshape(batch, rows, columns, side, side, dim).transpose(2, 3)
    grid = grid.reshape(batch, rows * side, columns * side, dim)[:, :height, :width]
    return grid.reshape(batch, height * width, dim)
