"""A transform for label maps with values that are no class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

IGNORED = 255


@TRANSFORMS.register_module()
class IgnoreLabels(BaseTransform):  # type: ignore[misc]
    """Mark labels as ignored, in losses and scores alike: they become 255.

    Comes after ``LoadAnnotations``. Modified key: ``gt_seg_map``, uint8 ``[H, W]``. MMSegmentation's inference takes
    ``LoadAnnotations`` alone out of the test pipeline, so a picture without a label map passes.

    Args:
        labels: the values; where the data set has ``reduce_zero_label``, those after it, one less than in the files.

    Raises:
        ValueError: a value is not one of uint8.
    """

    def __init__(self, labels: Sequence[int]) -> None:
        wrong = [label for label in labels if not 0 <= label <= IGNORED]
        if wrong:
            raise ValueError(f'labels holds {wrong}, but label maps hold values from 0 to {IGNORED}')
        self.labels = list(labels)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Mark the labels."""
        label_map = results.get('gt_seg_map')
        if label_map is not None:
            label_map[np.isin(label_map, self.labels)] = IGNORED
        return results
