"""Parameter names of the originals' Mask2Former head (MMDetection 2) beside those of MMDetection 3."""

import re
from typing import Any

from torch import Tensor, nn

# of one layer of the transformers: pattern of the old name, the new one
_DECODER = r'^(transformer_decoder\.layers\.\d+\.)'
_ENCODER = r'^(pixel_decoder\.encoder\.layers\.\d+\.)'
RENAMES = [
    (re.compile(_DECODER + r'attentions\.0\.'), r'\1cross_attn.'),
    (re.compile(_DECODER + r'attentions\.1\.'), r'\1self_attn.'),
    (re.compile(_ENCODER + r'attentions\.0\.'), r'\1self_attn.'),
    (re.compile(_DECODER + r'ffns\.0\.'), r'\1ffn.'),
    (re.compile(_ENCODER + r'ffns\.0\.'), r'\1ffn.'),
]


def new_name(name: str) -> str:
    """Return a parameter's name in MMDetection 3.

    Args:
        name: old or new, relative to the head.
    """
    for pattern, replacement in RENAMES:
        name = pattern.sub(replacement, name)
    return name


def accept_old_names(
    head: nn.Module,
    state_dict: dict[str, Tensor],
    prefix: str,
    local_metadata: dict[str, Any],
    strict: bool,
    missing_keys: list[str],
    unexpected_keys: list[str],
    error_msgs: list[str],
) -> None:
    """Rename the originals' keys before the head loads them; a pre-hook of ``load_state_dict``.

    A key whose new name is there too is left as it is, and so reported as unexpected.
    """
    for key in [key for key in state_dict if key.startswith(prefix)]:
        renamed = prefix + new_name(key.removeprefix(prefix))
        if renamed not in state_dict:
            state_dict[renamed] = state_dict.pop(key)
