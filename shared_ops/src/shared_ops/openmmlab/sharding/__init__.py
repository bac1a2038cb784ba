"""Models whose weights, gradients and optimizer states are divided among the processes (PyTorch's FSDP2)."""

from .blocks import BLOCKS, is_block
from .full_state import full_optimizer_state, full_state, load_full_optimizer_state
from .shard import shard
from .strategy import FullyShardStrategy

__all__ = [
    'BLOCKS',
    'FullyShardStrategy',
    'full_optimizer_state',
    'full_state',
    'is_block',
    'load_full_optimizer_state',
    'shard',
]
