"""Files of Uni-Perceiver under the trunk's names.

Original: detection/mmcv_custom/uniperceiver_converter.py of ViT-Adapter, whose results it published as well.
"""

import re
from collections.abc import Mapping

from torch import Tensor

# What Uni-Perceiver's authors call it, and the trunk; in this order.
_RENAMES = (
    (r'^fused_encoder\.', ''),
    (r'\bin_proj_(weight|bias)$', r'in_proj.\1'),
    (r'^video_embed\.', 'visual_embed.'),
    (r'^visual_embed\.embeddings\.(weight|bias)$', r'visual_embed.patch_embed.proj.\1'),
    (r'^visual_embed\.embeddings_st_pos\.(spatial|temporal)_pos_embed\.', r'visual_embed.patch_embed.\1_pos_embed.'),
)
# What the trunk has beside its layers; a file may hold more, for videos and for other tasks.
_EMBEDDINGS = (
    'embeddings_norm.',
    'patch_embed.proj.',
    'patch_embed.spatial_pos_embed.',
    'patch_embed.temporal_pos_embed.',
)


def uniperceiver_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a Uni-Perceiver, and leave out what videos, texts and tasks need.

    Args:
        weights: the file's tensors, under the names of Uni-Perceiver's authors or the trunk's.

    Returns:
        The trunk's tensors.
    """
    renamed = {}
    for name, value in weights.items():
        for old, new in _RENAMES:
            name = re.sub(old, new, name)
        if name.startswith(('layers.', *(f'visual_embed.{part}' for part in _EMBEDDINGS))):
            renamed[name] = value
    return renamed
