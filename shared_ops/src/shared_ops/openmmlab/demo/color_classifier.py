"""The yardstick: a classifier that sees one pixel at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .scenes import Image

_BITS = 4


class ColorClassifier:
    """Bayes classifier on a histogram of RGB colours with ``16 x 16 x 16`` bins.

    Args:
        pairs: pictures, uint8 ``[H, W, 3]``, and label maps, uint8 ``[H, W]``, to count.
        num_classes: number of classes.
        use_frequencies: whether frequent classes are preferred, which maximises the share of right pixels;
            without it every class counts the same, which serves rare classes.
    """

    def __init__(self, pairs: Iterable[tuple[Image, Image]], num_classes: int, use_frequencies: bool) -> None:
        bins = 1 << 3 * _BITS
        counts = np.zeros(num_classes * bins)
        for picture, labels in pairs:
            cells = labels.astype(np.int64) * bins + _bin_of(picture)
            counts += np.bincount(cells.ravel(), minlength=counts.size)
        scores = counts.reshape(num_classes, bins) + 1.0  # a colour never seen is no proof
        if not use_frequencies:
            scores /= scores.sum(axis=1, keepdims=True)
        self.label_of_bin = scores.argmax(axis=0).astype(np.uint8)

    def __call__(self, picture: Image) -> Image:
        """Classify the pixels of a picture, uint8 ``[H, W, 3]``; returns uint8 ``[H, W]``."""
        labels: Image = self.label_of_bin[_bin_of(picture)]
        return labels


def _bin_of(picture: Image) -> NDArray[np.int64]:
    coarse = picture.astype(np.int64) >> (8 - _BITS)
    return (coarse[..., 0] << 2 * _BITS) | (coarse[..., 1] << _BITS) | coarse[..., 2]


def color_baseline(train: list[tuple[Image, Image]], val: list[tuple[Image, Image]], num_classes: int) -> float:
    """Return the mIoU (percent, MMSegmentation's) on ``val`` of the better of the two colour classifiers."""
    return max(
        _mean_iou(ColorClassifier(train, num_classes, use_frequencies), val, num_classes)
        for use_frequencies in (False, True)
    )


def _mean_iou(classifier: ColorClassifier, pairs: list[tuple[Image, Image]], num_classes: int) -> float:
    import torch
    from mmseg.evaluation import IoUMetric

    areas = [
        IoUMetric.intersect_and_union(
            torch.from_numpy(classifier(picture)), torch.from_numpy(labels), num_classes, ignore_index=255
        )
        for picture, labels in pairs
    ]
    totals = [sum(area) for area in zip(*areas)]  # intersect, union, prediction, label
    metrics = IoUMetric.total_area_to_metrics(*totals, metrics=['mIoU'])
    return float(np.nanmean(metrics['IoU']) * 100)
