"""Whether the label maps of a config's data hold what its model can learn."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, TRANSFORMS
from numpy.typing import NDArray
from PIL import Image

from ..data_folders import check_data, datasets_of
from .dataset import IGNORED

# The steps of a pipeline that give label maps their values.
_STEPS = ('LoadAnnotations', 'MapillaryHack')
_LISTED = 5

Progress = Callable[[list[dict[str, Any]]], Iterable[dict[str, Any]]]


@dataclass
class SplitReport:
    """What was found in the data of one data loader.

    Attributes:
        loader: its name in the config.
        folder: where its pictures lie.
        pictures: number of pictures.
        pixels: number of pixels of every class, int64 ``[number of classes]``.
        ignored: number of pixels that are ignored.
        problems: what has to be mended, in whole sentences.
    """

    loader: str
    folder: str
    pictures: int
    pixels: NDArray[np.int64]
    ignored: int = 0
    problems: list[str] = field(default_factory=list)


def check_config(config: Config, progress: Progress = iter) -> list[SplitReport]:
    """Read every label map that a config trains and validates on.

    Args:
        config: the whole config.
        progress: passes the pictures of a split on, one by one, for a progress bar.

    Returns:
        A report for each part of each data loader: those that repeat or join data sets are looked into.

    Raises:
        FileNotFoundError: a folder of pictures does not exist.
    """
    reports = []
    number = int(config.model.decode_head.num_classes)
    with DefaultScope.overwrite_default_scope('mmseg'):
        for loader in ('train_dataloader', 'val_dataloader'):
            check_data(config, loader)
            for dataset in datasets_of(config, loader).values():
                reports.append(_check(loader, dataset, number, progress))
    return reports


def _check(loader: str, dataset: dict[str, Any], number: int, progress: Progress) -> SplitReport:
    steps = [step for step in dataset.get('pipeline', []) if step['type'] in _STEPS]
    built = DATASETS.build({**dataset, 'pipeline': [], 'lazy_init': True})
    # not through the data set itself, which would stop at the first file that is missing
    samples = built.load_data_list()
    folder = str(built.data_prefix.get('img_path', ''))
    report = SplitReport(loader, folder, len(samples), np.zeros(number, np.int64))
    classes = built.metainfo.get('classes')
    if classes and len(classes) != number:
        report.problems.append(
            f'The data set has {len(classes)} classes, but the head tells {number} apart: set num_classes of every '
            f'head to {len(classes)}.'
        )
    if not samples:
        report.problems.append(f'There are no pictures *{built.img_suffix}: say how they end, with img_suffix.')
        return report
    findings = _Findings(built.seg_map_suffix)
    read = Compose([TRANSFORMS.build(step) for step in steps])
    for sample in progress(samples):
        labels = findings.read(sample, read)
        if labels is None:
            continue
        values, counts = np.unique(labels, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist()):
            if value == IGNORED:
                report.ignored += count
            elif value < number:
                report.pixels[value] += count
            else:
                findings.foreign.setdefault(value, []).append((_name(sample), count / labels.size))
    report.problems += findings.sentences(number, bool(built.reduce_zero_label))
    return report


def _name(sample: dict[str, Any]) -> str:
    return Path(sample['seg_map_path']).name


class _Findings:
    """What is wrong with the files of one split."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix
        self.missing: list[str] = []
        self.unreadable: list[str] = []
        self.colored: list[str] = []
        self.misshapen: list[str] = []
        # value: the label maps that hold it, and the share of their pixels that have it
        self.foreign: dict[int, list[tuple[str, float]]] = {}

    def read(self, sample: dict[str, Any], read: Compose) -> NDArray[np.integer[Any]] | None:
        """Return the label map of a picture, ``[H, W]``, as training sees it; None if that is not possible."""
        path, name = sample['seg_map_path'], _name(sample)
        if not os.path.isfile(path):
            self.missing.append(name)
            return None
        try:
            with Image.open(sample['img_path']) as picture, Image.open(path) as label_map:
                size, shape, bands = picture.size, label_map.size, label_map.getbands()
            if len(bands) > 1:
                self.colored.append(f'{name} ({"".join(bands)})')
                return None
            if size != shape:
                self.misshapen.append(f'{name} ({shape[0]} x {shape[1]}, picture {size[0]} x {size[1]})')
                return None
            labels: NDArray[np.integer[Any]] = read({**sample, 'seg_fields': []})['gt_seg_map']
        except (OSError, ValueError) as error:
            self.unreadable.append(f'{name} ({error})')
            return None
        return labels

    def sentences(self, number: int, zero_is_ignored: bool) -> list[str]:
        """Return what is wrong, and what to do about it."""
        kinds = [
            (
                self.missing,
                f'pictures have no label map; its name is that of the picture, ending in {self.suffix}. Add them, or '
                f'take the pictures out',
            ),
            (self.unreadable, 'pictures or label maps cannot be read; write them anew or take them out'),
            (
                self.colored,
                'label maps are coloured pictures; a label map has one channel, whose values are the classes. Convert '
                'each colour to the number of its class',
            ),
            (
                self.misshapen,
                'label maps have another size than their picture; resize them without interpolation (nearest)',
            ),
        ]
        found = [f'{len(names)} {text}: {_listing(names)}' for names, text in kinds if names]
        if self.foreign:
            found.append(self._foreign_values(number, zero_is_ignored))
        return found

    def _foreign_values(self, number: int, zero_is_ignored: bool) -> str:
        first = 1 if zero_is_ignored else 0
        lines = []
        for value, places in sorted(self.foreign.items()):
            name, share = places[0]
            in_file = value + first  # as it stands in the file
            lines.append(f'  {in_file} in {len(places)} label maps, such as {name} ({100 * share:.2g} % of it)')
        more = [f'  and {len(lines) - 20} more values'] if len(lines) > 20 else []
        values = ' '.join(str(value + first) for value in sorted(self.foreign)[:20])
        return '\n'.join(
            [
                f'Label maps hold values that are no class (the classes are {first} to {first + number - 1}; 255 is '
                f'ignored):',
                *lines[:20],
                *more,
                f'Add these classes to the list, or have them ignored: `new ... --ignore {values}`',
            ]
        )


def _listing(names: list[str]) -> str:
    more = f' and {len(names) - _LISTED} more' if len(names) > _LISTED else ''
    return ', '.join(names[:_LISTED]) + more
