"""What Mask2Former is to predict, made of a label map: one mask for each class that occurs."""

from typing import NamedTuple

import torch
from torch import Tensor

from ...errors import InputError


class MaskTargets(NamedTuple):
    """The classes of one image and where they are.

    Args:
        labels: ``[n]`` int64, in ascending order.
        masks: ``[n, H, W]``, 1 where the class is and 0 elsewhere.
    """

    labels: Tensor
    masks: Tensor


def mask_targets(label_map: Tensor, *, num_classes: int, ignore_index: int, dtype: torch.dtype) -> MaskTargets:
    """Split a label map into one mask for each class.

    Ignored pixels, and so padded ones, are in no mask: all masks have to be absent there. Original: ``ToMask``
    (datasets/pipelines/formatting.py).

    Args:
        label_map: ``[1, H, W]`` or ``[H, W]``, integers.
        num_classes: labels are less than this.
        ignore_index: label of pixels that belong to no class.
        dtype: type of the masks.

    Raises:
        ValueError: a label is neither a class nor ``ignore_index``.
    """
    label_map = label_map.reshape(label_map.shape[-2:])
    labels = [label for label in torch.unique(label_map).tolist() if label != ignore_index]
    strange = [label for label in labels if not 0 <= label < num_classes]
    if strange:
        raise InputError(
            f'the label map has the labels {strange}, but num_classes={num_classes} and ignore_index={ignore_index}; '
            f"set num_classes to the data set's number of classes, or map its labels (reduce_zero_label, label_map)"
        )
    present = torch.tensor(labels, dtype=torch.int64, device=label_map.device)
    return MaskTargets(present, (label_map == present[:, None, None]).to(dtype))
