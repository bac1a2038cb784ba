"""Which block of a plain trunk has what: windows, place between the interactions, learning rate."""

from collections.abc import Sequence
from typing import TypeVar

from ..errors import InputError

Setting = TypeVar('Setting')


def _per_block(name: str, setting: Setting | Sequence[Setting], depth: int) -> list[Setting]:
    """Repeat a single ``setting`` for every block, or check that a list has one for each."""
    if not isinstance(setting, list | tuple):
        return [setting] * depth  # type: ignore[list-item]
    if len(setting) != depth:
        raise InputError(f'{name} has {len(setting)} entries, but the trunk has depth={depth} blocks')
    return list(setting)


def window_sizes(
    window_attn: bool | Sequence[bool], window_size: int | Sequence[int | None] | None, depth: int
) -> list[int | None]:
    """Return the side of every block's windows in tokens, ``None`` where it attends globally.

    Args:
        window_attn: attend in windows; one value for all blocks or one per block.
        window_size: side of the windows in tokens; one value for all blocks or one per block.
        depth: number of blocks.

    Raises:
        ValueError: a list has another length, or a block with windows has no size of them.

    Example:
        >>> window_sizes([True, False], 14, depth=2)
        [14, None]
    """
    windowed = _per_block('window_attn', window_attn, depth)
    sizes = _per_block('window_size', window_size, depth)
    for index in range(depth):
        if windowed[index] and sizes[index] is None:
            raise InputError(f'block {index} has window_attn=True, but window_size=None')
    return [size if attends_in_windows else None for attends_in_windows, size in zip(windowed, sizes)]


def block_ranges(interaction_indexes: Sequence[Sequence[int]], depth: int) -> list[slice]:
    """Return the blocks that each interaction runs.

    Args:
        interaction_indexes: first and last block of every interaction, both inclusive.
        depth: number of blocks.

    Raises:
        ValueError: blocks are skipped, repeated or do not exist, or there is no interaction.

    Example:
        >>> block_ranges([[0, 2], [3, 5]], depth=6)
        [slice(0, 3, None), slice(3, 6, None)]
    """
    ranges = [slice(part[0], part[-1] + 1) for part in interaction_indexes]
    stops = [part.stop for part in ranges]
    in_order = all(part.start == start < part.stop for part, start in zip(ranges, [0, *stops]))
    if not ranges or not in_order or stops[-1] > depth:
        raise InputError(
            f'interaction_indexes={interaction_indexes} must be pairs [first, last] of block numbers that follow one '
            f'another from 0 and stay below depth={depth}, for example [[0, 2], [3, 5], [6, 8], [9, 11]]'
        )
    return ranges


def plain_vit_layer_id(name: str, depth: int) -> int:
    """Return the depth of a backbone's parameter, for layer-wise learning rates.

    Args:
        name: the parameter's name in the backbone.
        depth: number of blocks.

    Returns:
        0 for the embeddings, i + 1 for block i, ``depth + 1`` for what is added to the trunk.
    """
    if name in ('cls_token', 'pos_embed') or name.startswith(('patch_embed.', 'visual_embed.')):
        return 0
    if name.startswith(('blocks.', 'layers.')):
        return int(name.split('.')[1]) + 1
    return depth + 1
