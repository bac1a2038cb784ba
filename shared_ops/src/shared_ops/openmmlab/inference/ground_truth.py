"""The label map that people made of a picture, and how near a model comes to it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path

import mmcv
import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from ...errors import InputError
from .classes import tested_on

# what a label map says of pixels that do not count
IGNORED = 255


@dataclass(frozen=True)
class Score:
    """How near a label map is to the ground truth of one picture.

    Attributes:
        accuracy: share of the pixels whose class is right, 0 to 1.
        mean_iou: intersection over union, 0 to 1, mean of the classes that are in either of the two.
    """

    accuracy: float
    mean_iou: float


def read_ground_truth(path: Path, config: Config, size: tuple[int, int], number: int) -> NDArray[np.uint8]:
    """Read an annotation as the data set of a config means it.

    Args:
        path: an image of one channel, or with a palette, that holds the index of a class in every pixel.
        config: its data set says whether 0 stands for pixels that do not count (``reduce_zero_label``), and which
            indices become others.
        size: height and width of the picture.
        number: of classes.

    Returns:
        Index of the class of every pixel, or ``IGNORED``, uint8 ``[H, W]``.

    Raises:
        ValueError: it is no annotation of this picture.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    # as MMSegmentation reads them: Pillow leaves the indices of a palette alone
    labels = mmcv.imfrombytes(content, flag='unchanged', backend='pillow') if content else None
    if labels is None:
        raise InputError(f'label map {path} is no image')
    if labels.shape != size:
        raise InputError(f'label map {path} is {list(labels.shape)}; the picture needs one of {list(size)}')
    if labels.dtype != np.uint8:
        raise InputError(f'label map {path} has {labels.dtype} values; they have to be 8 bits')
    if _zero_is_ignored(config):
        labels = np.where(labels == 0, IGNORED, labels - 1).astype(np.uint8)
        labels[labels == IGNORED - 1] = IGNORED
    annotated, labels = labels, labels.copy()
    for old, new in _label_map(config).items():
        labels[annotated == old] = new
    counted = labels[labels != IGNORED]
    if not counted.size:
        raise InputError(f'label map {path} holds no pixel of any class')
    if (largest := int(counted.max())) >= number:
        raise InputError(f'label map {path} has class {largest}, but the model tells {number} apart, from 0')
    return labels


def score(labels: NDArray[np.integer], truth: NDArray[np.uint8], number: int) -> Score:
    """Compare a label map with the ground truth, both ``[H, W]``, as MMSegmentation's ``IoUMetric`` does.

    Args:
        labels: of a model.
        truth: from :func:`read_ground_truth`.
        number: of classes.
    """
    counted = truth != IGNORED
    confusion = np.bincount(number * truth[counted].astype(np.int64) + labels[counted], minlength=number**2)
    confusion = confusion.reshape(number, number)  # [true, found]
    right = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - right
    present = union > 0
    return Score(float(right.sum() / counted.sum()), float((right[present] / union[present]).mean()))


def _label_map(config: Config) -> dict[int, int]:
    """Return which indices of the annotations become others, such as those of classes that are left out."""
    dataset, registered = tested_on(config)
    if not hasattr(registered, 'get_label_map'):
        return {}
    return registered.get_label_map((dataset.get('metainfo') or {}).get('classes')) or {}


def _zero_is_ignored(config: Config) -> bool:
    dataset, registered = tested_on(config)
    if 'reduce_zero_label' in dataset:
        return bool(dataset['reduce_zero_label'])
    if registered is None:
        return False
    parameter = inspect.signature(registered).parameters.get('reduce_zero_label')
    return parameter is not None and parameter.default is True
