"""Which pictures and label maps of two folders belong together."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError, MissingFileError

_PICTURES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
_LABEL_MAPS = ('.png', '.bmp', '.tif', '.tiff')


@dataclass(frozen=True)
class Pairs:
    """How the names of pictures and of their label maps differ.

    Attributes:
        img_suffix: how the names of pictures end, such as ``'.jpg'``.
        seg_map_suffix: what stands there in the names of label maps, such as ``'_L.png'``.
        count: number of pictures that have a label map.
    """

    img_suffix: str
    seg_map_suffix: str
    count: int


def find_pairs(pictures: Path, label_maps: Path) -> Pairs:
    """Find out how pictures and label maps are paired by name, at any depth of the folders.

    Args:
        pictures: folder of pictures.
        label_maps: folder of label maps.

    Raises:
        FileNotFoundError: a folder does not exist, or holds no file of its kind.
        ValueError: no picture has a label map of its name.
    """
    images = _names(pictures, _PICTURES, 'pictures')
    labels = _names(label_maps, _LABEL_MAPS, 'label maps')
    best = max(
        (_count(images, labels, *suffixes) for suffixes in _candidates(images, labels)),
        key=lambda pairs: pairs.count,
    )
    if not best.count:
        raise InputError(
            f'no picture in {pictures} has a label map in {label_maps}: the names, such as {images[0]} and '
            f'{labels[0]}, must begin alike and end in the same two ways throughout'
        )
    return best


def _names(folder: Path, suffixes: tuple[str, ...], what: str) -> list[str]:
    """Return the names of files, relative to ``folder``, sorted."""
    if not folder.is_dir():
        raise MissingFileError(f'folder {folder}, which should hold {what}, does not exist')
    names = [
        Path(root, file).relative_to(folder).as_posix()
        for root, _, files in os.walk(folder, followlinks=True)
        for file in files
        if file.lower().endswith(suffixes) and not file.startswith('.')
    ]
    if not names:
        raise MissingFileError(f'folder {folder} holds no {what} ({", ".join(suffixes)})')
    return sorted(names)


def _candidates(images: list[str], labels: list[str]) -> list[tuple[str, str]]:
    """Return (suffix of pictures, suffix of label maps) that are worth a try, the simplest first."""
    image_type = Counter(Path(name).suffix for name in images).most_common(1)[0][0]
    label_type = Counter(Path(name).suffix for name in labels).most_common(1)[0][0]
    candidates = [(image_type, label_type)]
    # a_L.png beside a.jpg
    stem = next(name for name in images if name.endswith(image_type)).removesuffix(image_type)
    candidates += [(image_type, name.removeprefix(stem)) for name in labels if name.startswith(stem)]
    # a_leftImg8bit.png beside a_labelIds.png
    image_end, label_end = _common_end(images), _common_end(labels)
    if image_end not in images and label_end not in labels:
        candidates.append((image_end, label_end))
    return candidates


def _common_end(names: list[str]) -> str:
    alike = itertools.takewhile(lambda letters: len({*letters}) == 1, zip(*(name[::-1] for name in names)))
    return ''.join(letters[0] for letters in alike)[::-1]


def _count(images: list[str], labels: list[str], img_suffix: str, seg_map_suffix: str) -> Pairs:
    there = set(labels)
    expected = [name.removesuffix(img_suffix) + seg_map_suffix for name in images if name.endswith(img_suffix)]
    return Pairs(img_suffix, seg_map_suffix, sum(name in there for name in expected))
