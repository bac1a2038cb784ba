"""Which modules are gathered, computed and let go as one: blocks of the trunks and of Mask2Former's transformers."""

from __future__ import annotations

from mmengine.registry import FUNCTIONS
from torch import nn

# Names of their classes, because no package may be imported here. All are entered through ``__call__`` alone, and
# nobody else reads their parameters.
BLOCKS = frozenset(
    {
        'Block',  # plain ViT, InternImage
        'BEiTBlock',
        'Layer',  # Uni-Perceiver
        'InteractionBlock',  # ViT-Adapter
        'CTIBlock',  # ViT-CoMer
        'DeformableDetrTransformerEncoderLayer',  # Mask2Former's pixel decoder
        'Mask2FormerTransformerDecoderLayer',
    }
)


def is_block(module: nn.Module) -> bool:
    """Tell whether a module is one of ``BLOCKS``."""
    return type(module).__name__ in BLOCKS


@FUNCTIONS.register_module()  # type: ignore[untyped-decorator]
def block_wrap_policy(module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
    """Say the same to MMEngine's ``MMFullyShardedDataParallel`` (``auto_wrap_policy='block_wrap_policy'``).

    Args:
        module: the module in question.
        recurse: true to ask whether to look inside of it, false to ask whether to wrap it.
        nonwrapped_numel: how many of its parameters no inner wrapper has; the answer does not depend on it.
    """
    return recurse or is_block(module)
