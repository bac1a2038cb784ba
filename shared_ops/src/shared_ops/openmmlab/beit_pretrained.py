"""Files of BEiT and BEiTv2 as a start for training at another image size.

Original: ``load_checkpoint`` of segmentation/mmcv_custom/checkpoint.py in ViT-Adapter, whose ``scipy.interp2d`` is gone
from SciPy 1.14.
"""

import re
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.interpolate import RectBivariateSpline
from torch import Tensor, nn

from .pretrained import copy_pretrained, read_pretrained

TABLE = 'relative_position_bias_table'
SHARED_TABLE = f'rel_pos_bias.{TABLE}'
# Rows of a table that belong to the class token; they follow those of the offsets between patches.
_CLASS_ROWS = 3
_TRUNK = ('cls_token', 'pos_embed', 'patch_embed.', 'rel_pos_bias.', 'blocks.')

_ADVICE = (
    'depth, embed_dim, patch_size, num_heads, qkv_bias, init_values (None for no layer scale), use_abs_pos_emb, '
    'use_rel_pos_bias and use_shared_rel_pos_bias must be those of the weights'
)


def load_beit(backbone: nn.Module, source: str, window: tuple[int, int]) -> None:
    """Load a file of BEiT or BEiTv2 into a backbone with the originals' names.

    Args:
        backbone: the backbone; what it has beside the trunk keeps its values.
        source: a file or an address (http, https).
        window: (h, w) of the patches for which the backbone's tables are.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read.
        RuntimeError: it does not hold a BEiT of this size.
    """
    trunk = {name: value for name, value in backbone.named_parameters() if name.startswith(_TRUNK)}
    weights = beit_weights(read_pretrained(source), trunk, window)
    copy_pretrained(backbone, weights, prefixes=_TRUNK, source=source, advice=_ADVICE)


def beit_weights(
    weights: Mapping[str, Tensor], trunk: Mapping[str, Tensor], window: tuple[int, int]
) -> dict[str, Tensor]:
    """Fit the weights of a BEiT to a trunk of another image size.

    A table that all blocks share is given to each of them, tables and position embeddings of another size are
    resized, and where the file has no layer scale, it is 1. MoBY's files hold two networks, of which the online one
    counts.

    Args:
        weights: the file's tensors.
        trunk: the trunk's tensors, by name.
        window: (h, w) of the patches for which the trunk's tables are.

    Returns:
        ``weights`` under the trunk's names and in its shapes.
    """
    if min(weights, default='').startswith('encoder'):
        prefix = 'encoder.'
        weights = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    fitted = {name: value for name, value in weights.items() if not name.endswith('relative_position_index')}

    tables = [name for name in trunk if name.endswith(f'attn.{TABLE}')]
    if SHARED_TABLE in fitted and tables:
        shared = fitted.pop(SHARED_TABLE)
        fitted.update(dict.fromkeys(tables, shared))
        if SHARED_TABLE in trunk:  # the blocks have it already
            fitted[SHARED_TABLE] = torch.zeros_like(trunk[SHARED_TABLE])
    for name, value in trunk.items():
        if re.fullmatch(r'blocks\.\d+\.gamma_[12]', name):
            fitted.setdefault(name, torch.ones_like(value))
        elif name.endswith(TABLE) and name in fitted:
            fitted[name] = resize_table(fitted[name], window)
        elif name == 'pos_embed' and name in fitted:
            fitted[name] = _resize_position_embedding(fitted[name], window)
    return fitted


def resize_table(table: Tensor, window: tuple[int, int]) -> Tensor:
    """Interpolate a table of relative position biases for another window.

    A cubic spline of every head, through the old entries on a geometric grid: near offsets keep their places almost,
    far ones spread over the new window (as in BEiT's code for segmentation).

    Args:
        table: ``[(2n-1)^2 + 3, M]`` for a square window of n x n patches; the last three rows are the class token's
            and are kept.
        window: (h, w) of the new window.

    Returns:
        ``[(2h-1) * (2w-1) + 3, M]`` float32; or ``table`` itself if it has as many rows, or no square number of them.
    """
    sizes = [2 * side - 1 for side in window]
    offsets = len(table) - _CLASS_ROWS
    side = round(max(offsets, 0) ** 0.5)
    if table.dim() != 2 or offsets == sizes[0] * sizes[1] or side**2 != offsets or side % 2 == 0:
        return table
    places = [_geometric_grid(side, size) for size in sizes]
    wanted = [np.arange(size, dtype=np.float64) - size // 2 for size in sizes]
    degree = min(3, side - 1)
    heads = []
    for head in table[:offsets].T.double().numpy():
        spline = RectBivariateSpline(*places, head.reshape(side, side), kx=degree, ky=degree, s=0)
        heads.append(torch.from_numpy(spline(*wanted)).flatten())
    return torch.cat((torch.stack(heads, dim=1).float(), table[offsets:].float()))


def _geometric_grid(old: int, new: int) -> NDArray[np.float64]:
    """Return where the ``old`` entries of an axis lie among the ``new`` ones, from the middle: 0, 1, 1+q, 1+q+q^2...

    q is such that the outermost lies at the border, as near as the originals' bisection came to it.
    """
    steps = np.arange(old // 2)
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (ratio**steps).sum() > new // 2:
            high = ratio
        else:
            low = ratio
    distances = np.cumsum(ratio**steps)
    return np.concatenate((-distances[::-1], [0.0], distances))


def _resize_position_embedding(position: Tensor, window: tuple[int, int]) -> Tensor:
    """Resize the rows of the patches (bicubic), and keep that of the class token, ``[1, 1 + n*n, C]``."""
    patches = position.shape[1] - 1 if position.dim() == 3 else 0
    side = round(patches**0.5)
    if patches == window[0] * window[1] or patches == 0 or side**2 != patches:
        return position
    grid = position[:, 1:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)  # [1, C, n, n]
    grid = F.interpolate(grid, size=window, mode='bicubic', align_corners=False)
    return torch.cat((position[:, :1].float(), grid.flatten(2).transpose(1, 2)), dim=1)
