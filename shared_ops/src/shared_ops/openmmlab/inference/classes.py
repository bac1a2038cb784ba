"""Names and colours of the classes that a model tells apart."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mmseg.datasets  # noqa: F401 (registers the data sets)
import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS
from numpy.typing import NDArray

# The golden ratio spreads any number of hues evenly around the circle.
_GOLDEN_RATIO = 0.618034


@dataclass(frozen=True)
class Classes:
    """What the label indices mean.

    Attributes:
        names: one for every class.
        palette: RGB colour of every class, uint8 ``[number of classes, 3]``.
    """

    names: Sequence[str]
    palette: NDArray[np.uint8]


def classes_of(model: Any, config: Config) -> Classes:
    """Find out what the labels of a model mean.

    The data set that the config is tested on says it, else the checkpoint, provided that they have as many classes as
    the model. (MMSegmentation takes a checkpoint without class names for one of Cityscapes or another data set.)

    Args:
        model: a segmentor from ``init_model``.
        config: the config that it was built from.
    """
    number = int(model.num_classes)
    for meta in (dataset_meta(config), getattr(model, 'dataset_meta', None) or {}):
        names, palette = meta.get('classes'), meta.get('palette')
        if names is not None and len(names) == number:
            if palette is None or len(palette) != number:
                palette = _spread_colors(number)
            return Classes([str(name) for name in names], np.asarray(palette, np.uint8))
    return Classes([f'class {index}' for index in range(number)], _spread_colors(number))


def tested_on(config: Config) -> tuple[dict[str, Any], Any]:
    """Return the settings of the data set that a config is tested on, and its class; its files are not looked at.

    Args:
        config: whose ``test_dataloader`` may be missing: then there are no settings and no class.
    """
    dataset = (config.get('test_dataloader') or {}).get('dataset')
    while isinstance(dataset, dict) and 'dataset' in dataset:  # RepeatDataset and its like
        dataset = dataset['dataset']
    if not isinstance(dataset, dict):
        return {}, None
    kind = dataset.get('type')
    return dataset, DATASETS.get(kind) if isinstance(kind, str) else kind


def dataset_meta(config: Config) -> dict[str, Any]:
    """Return class names and palette of the config's test data set, whose files are not looked at."""
    dataset, registered = tested_on(config)
    return {**getattr(registered, 'METAINFO', {}), **(dataset.get('metainfo') or {})}


def _spread_colors(number: int) -> NDArray[np.uint8]:
    """Return colours that differ from one class to the next, uint8 ``[number, 3]``."""
    colors = [
        colorsys.hsv_to_rgb(index * _GOLDEN_RATIO % 1, 0.75 - 0.25 * (index % 2), 0.95 - 0.15 * (index % 3))
        for index in range(number)
    ]
    return np.rint(255 * np.array(colors)).astype(np.uint8)
