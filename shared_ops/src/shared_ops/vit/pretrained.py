"""ImageNet classifiers' weights under the trunk's names."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor


def plain_vit_weights(weights: Mapping[str, Tensor], trunk: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename and complete the weights of a plain ViT (DeiT's, AugReg's and timm's names).

    Layer scale has another name in timm; where the classifier has none, the trunk's stays. ``pos_embed`` gets one row
    before those of the patches, which the trunk never uses, whatever rows for tokens of its own the classifier had.

    Args:
        weights: the classifier's tensors.
        trunk: the trunk's tensors, by name.

    Returns:
        ``weights`` under the trunk's names.
    """
    named = {re.sub(r'^(blocks\.\d+)\.ls([12])\.gamma$', r'\1.gamma\2', name): value for name, value in weights.items()}
    for name, value in trunk.items():
        if re.fullmatch(r'blocks\.\d+\.gamma[12]', name):
            named.setdefault(name, value)
    if 'pos_embed' in named and named['pos_embed'].dim() == 3:
        patches = trunk['pos_embed'].shape[1] - 1
        position = named['pos_embed']  # [1, tokens + patches, C]
        if 0 <= position.shape[1] - patches <= 6:  # class token, distillation token, registers
            unused = torch.zeros_like(position[:, :1])
            first = position[:, :1] if position.shape[1] == patches + 1 else unused
            named['pos_embed'] = torch.cat((first, position[:, position.shape[1] - patches :]), dim=1)
    return named
