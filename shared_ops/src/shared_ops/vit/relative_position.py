"""Relative position bias between the patches of an image and a class token (BEiT, https://arxiv.org/abs/2106.08254).

Shape notation: M heads, h and w the grid for which the table was made (the window), T = 1 + h*w tokens, the class
token first.
"""

from typing import Any
from weakref import WeakValueDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Rows of a table that follow those of the offsets between patches.
CLASS_ROWS = 3


def table_rows(window: tuple[int, int]) -> int:
    """Return the number of rows that a table for ``window`` (h, w) has: ``(2h-1) * (2w-1) + 3``."""
    return (2 * window[0] - 1) * (2 * window[1] - 1) + CLASS_ROWS


def relative_position_bias(table: Tensor, window: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Lay a table of biases out for all pairs of tokens.

    At the window's own size every entry is one of the table's. On a smaller grid the offsets that occur keep their
    entries; along an axis on which the grid is larger, the table is stretched over it (bicubic), its ends kept.

    Args:
        table: ``[(2h-1) * (2w-1) + 3, M]``: one row for each offset (query minus key) in rows and columns, row by
            row from the most negative; then class token to patch, patch to class token, class token to itself.
        window: (h, w) of the grid for which the table was made.
        grid: (H, W) of the patches at hand.

    Returns:
        ``[M, 1 + H*W, 1 + H*W]`` in the type of ``table``: queries from the first to the last token, keys **from the
        last to the first**, since reversing them here would cost more than reversing the keys themselves
        (:func:`shared_ops.vit.attend` does). Rows lie a multiple of 8 elements apart in memory, which the fused
        attention kernels on a GPU ask for.
    """
    height, width = grid
    heads = table.shape[1]
    offsets = table[:-CLASS_ROWS].T.reshape(heads, 2 * window[0] - 1, 2 * window[1] - 1)  # [M, 2h-1, 2w-1]
    offsets = _offsets_of_grid(offsets, window, grid)  # [M, 2H-1, 2W-1]
    class_to_patch, patch_to_class, class_to_class = table[-CLASS_ROWS:, :, None]  # [M, 1] each

    # The part of the table that begins at the query's position holds its keys' entries from the last to the first.
    pairs = offsets.unfold(1, height, 1).unfold(2, width, 1)  # [M, H, W, H, W], a view
    # One copy makes room for the class token, before the queries and after the keys, in whole rows of the grid.
    more = next(rows for rows in range(1, 9) if (height + rows) * width % 8 == 0)
    bias = F.pad(pairs, (0, 0, 0, more, 0, 0, 1, 0))  # [M, 1+H, W, H+more, W]
    bias = bias.flatten(3, 4).flatten(1, 2)[:, width - 1 :, : 1 + height * width]  # [M, T, T]
    bias[:, 0, :-1] = class_to_patch
    bias[:, :, -1] = torch.cat((class_to_class, patch_to_class.expand(heads, height * width)), dim=1)
    return bias


def _offsets_of_grid(offsets: Tensor, window: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Cut or stretch the table ``[M, 2h-1, 2w-1]`` of a window to the ``[M, 2H-1, 2W-1]`` of a grid."""
    for axis, (had, wanted) in enumerate(zip(window, grid, strict=True), start=1):
        if wanted < had:
            offsets = offsets.narrow(axis, had - wanted, 2 * wanted - 1)
    size = (2 * grid[0] - 1, 2 * grid[1] - 1)
    if tuple(offsets.shape[1:]) != size:
        # in float32, since interpolation weights in half precision would shift the table
        wide = offsets if offsets.dtype == torch.float64 else offsets.float()
        wide = F.interpolate(wide[None], size=size, mode='bicubic', align_corners=True)[0]
        offsets = wide.to(offsets.dtype)
    return offsets


# All blocks of a state dict share one index, and it lives no longer than the state dict.
_indices: WeakValueDictionary[tuple[int, int], Tensor] = WeakValueDictionary()


@torch.inference_mode(False)  # one made in inference mode could not be written to by later users of a state dict
def relative_position_index(window: tuple[int, int]) -> Tensor:
    """Return the table's row for every pair of tokens, ``[T, T]`` int64 on the CPU; do not write to it.

    No computation needs it: it is what the originals keep in their checkpoints.
    """
    index = _indices.get(window)
    if index is None:
        rows = torch.arange(table_rows(window), device='cpu', dtype=torch.float64)  # exact as floating point
        index = relative_position_bias(rows[:, None], window, window)[0].flip(1).long()
        _indices[window] = index
    return index


class RelativePositionBias(nn.Module):
    """A learned table of biases, under the originals' keys.

    ``relative_position_index`` is in ``state_dict()`` as in the originals, but takes no memory otherwise. It is
    accepted, not needed, when a state dict is loaded.

    Args:
        window: (h, w) of the grid for which the table is; ``None`` for no table.
        num_heads: number of heads.
    """

    relative_position_bias_table: nn.Parameter | None

    def __init__(self, window: tuple[int, int] | None, num_heads: int) -> None:
        super().__init__()
        self.window = window
        table = None if window is None else nn.Parameter(torch.zeros(table_rows(window), num_heads))
        self.register_parameter('relative_position_bias_table', table)

    @property
    def relative_position_index(self) -> Tensor | None:
        """The table's row for every pair of tokens, ``[T, T]`` int64 on the CPU; ``None`` without a table."""
        return None if self.window is None else relative_position_index(self.window)

    def relative_position_bias(self, grid: tuple[int, int], dtype: torch.dtype) -> Tensor | None:
        """Return the biases of a grid (H, W) in a type, as :func:`relative_position_bias`; ``None`` without a table."""
        if self.relative_position_bias_table is None or self.window is None:
            return None
        return relative_position_bias(self.relative_position_bias_table.to(dtype), self.window, grid)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.relative_position_bias_table is None or self.window is None:
            return
        if self.relative_position_bias_table.is_meta:
            tokens = 1 + self.window[0] * self.window[1]
            index = torch.empty(tokens, tokens, dtype=torch.int64, device='meta')
        else:
            index = relative_position_index(self.window)
        destination[prefix + 'relative_position_index'] = index

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Tensor],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        key = prefix + 'relative_position_index'
        if self.window is None or key not in state_dict:
            return
        if key in unexpected_keys:
            unexpected_keys.remove(key)
        tokens = 1 + self.window[0] * self.window[1]
        wanted = torch.Size((tokens, tokens))
        if state_dict[key].shape != wanted:
            error_msgs.append(  # in PyTorch's words, which others parse
                f'size mismatch for {key}: copying a param with shape {state_dict[key].shape} from checkpoint, '
                f'the shape in current model is {wanted}.'
            )
