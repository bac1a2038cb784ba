"""Drawn scenes in which what a pixel is follows from the pattern around it, never from its colour.

A picture is a patchwork of regions with bent borders. Every region has a pattern, which is its class, in two colours
that are drawn without regard to it; light falls unevenly, and there is noise.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import FileError

Image = NDArray[np.uint8]
Map = NDArray[np.float64]

CLASSES = ('plain', 'stripes', 'checks', 'dots', 'rings')
# RGB, for pictures of label maps only: the scenes themselves know nothing of them
PALETTE = ((58, 64, 74), (240, 180, 41), (71, 158, 245), (232, 85, 77), (85, 190, 110))
SIZE = 96
SPLITS = {'train': 640, 'val': 64}

# Two colours of one pattern are at least so far apart (RGB, 0 to 255) that an eye can tell them from each other.
_CONTRAST = 90.0


def draw_scene(rng: np.random.RandomState, size: int = SIZE) -> tuple[Image, Image]:
    """Draw one scene.

    Args:
        rng: source of every choice.
        size: height and width in pixels.

    Returns:
        The picture, uint8 ``[size, size, 3]`` (RGB), and its label map, uint8 ``[size, size]``, with indices
        into ``CLASSES``.
    """
    regions = _draw_regions(rng, size)
    picture = np.empty((size, size, 3))
    labels = np.empty((size, size), np.uint8)
    for region in range(regions.max() + 1):
        inside = regions == region
        label = rng.randint(len(CLASSES))
        first, second = _draw_colors(rng)
        share = _PATTERNS[CLASSES[label]](rng, size)[..., None]  # [size, size, 1]
        picture[inside] = (first + share * (second - first))[inside]
        labels[inside] = label
    lit = picture * _draw_light(rng, size)[..., None]
    noisy = lit + rng.normal(0, rng.uniform(2, 10), lit.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8), labels


def write_data_set(folder: Path, seed: int, splits: dict[str, int] | None = None) -> None:
    """Write scenes as image files, in the folders that MMSegmentation reads.

    ``images/<split>/0000.jpg`` lies beside ``annotations/<split>/0000.png``.

    Args:
        folder: where ``images`` and ``annotations`` are made.
        seed: the same seed writes the same scenes; no scene of one split is in another.
        splits: number of scenes by split (default: ``SPLITS``).
    """
    for index, (split, count) in enumerate((SPLITS if splits is None else splits).items()):
        rng = np.random.RandomState([seed, index])
        images, annotations = folder / 'images' / split, folder / 'annotations' / split
        for each in (images, annotations):
            each.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            picture, labels = draw_scene(rng)
            bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
            _write(images / f'{number:04d}.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, 92])
            _write(annotations / f'{number:04d}.png', labels, [])


def read_data_set(folder: Path, split: str) -> list[tuple[Image, Image]]:
    """Read the (picture, label map) pairs of a split that `write_data_set` wrote."""
    pairs = []
    for path in sorted((folder / 'images' / split).glob('*.jpg')):
        picture = cv2.cvtColor(cv2.imread(os.fspath(path)), cv2.COLOR_BGR2RGB)
        annotation = folder / 'annotations' / split / f'{path.stem}.png'
        labels = cv2.imread(os.fspath(annotation), cv2.IMREAD_UNCHANGED)
        pairs.append((np.asarray(picture, np.uint8), np.asarray(labels, np.uint8)))
    return pairs


def _write(path: Path, array: Image, options: list[int]) -> None:
    if not cv2.imwrite(os.fspath(path), array, options):
        raise FileError(f'{path} could not be written')


def _draw_regions(rng: np.random.RandomState, size: int) -> NDArray[np.int64]:
    """Number the regions, ``[size, size]``: the cells around random centres, with borders bent by smooth noise."""
    while True:
        centers = rng.uniform(0, size, (rng.randint(4, 7), 2))
        distances = np.linalg.norm(centers[:, None] - centers, axis=-1)
        if distances[~np.eye(len(centers), dtype=bool)].min() > 0.3 * size:
            break
    bends = [cv2.resize(rng.normal(0, 0.04 * size, (6, 6)), (size, size), interpolation=cv2.INTER_CUBIC) for _ in 'yx']
    pixels = np.stack(np.mgrid[:size, :size] + bends, axis=-1)  # [size, size, 2]
    nearest: NDArray[np.int64] = np.linalg.norm(pixels[:, :, None] - centers, axis=-1).argmin(axis=-1)
    return nearest


def _draw_colors(rng: np.random.RandomState) -> Map:
    """Draw two RGB colours ``[2, 3]`` well apart from each other."""
    while True:
        colors: Map = rng.uniform(0, 255, (2, 3))
        if np.linalg.norm(colors[0] - colors[1]) > _CONTRAST:
            return colors


def _plain(rng: np.random.RandomState, size: int) -> Map:
    return np.full((size, size), rng.uniform())


def _stripes(rng: np.random.RandomState, size: int) -> Map:
    u, _ = _turned_grid(rng, size, period=rng.uniform(7, 12))
    return np.float64(u % 1 < 0.5)


def _checks(rng: np.random.RandomState, size: int) -> Map:
    u, v = _turned_grid(rng, size, period=rng.uniform(4, 7))
    return np.float64((np.floor(u) + np.floor(v)) % 2)


def _dots(rng: np.random.RandomState, size: int) -> Map:
    return np.float64(_distance_to_lattice(rng, size, period=rng.uniform(8, 12)) < 0.32)


def _rings(rng: np.random.RandomState, size: int) -> Map:
    distance = _distance_to_lattice(rng, size, period=rng.uniform(14, 20))
    return np.float64((distance > 0.2) & (distance < 0.4))


# Each returns the share of the second colour in every pixel, [size, size], 0 to 1; periods are in pixels.
_PATTERNS: dict[str, Callable[[np.random.RandomState, int], Map]] = {
    'plain': _plain,
    'stripes': _stripes,
    'checks': _checks,
    'dots': _dots,
    'rings': _rings,
}


def _turned_grid(rng: np.random.RandomState, size: int, period: float) -> tuple[Map, Map]:
    """Return two perpendicular coordinates, in periods, with any direction and origin."""
    angle = rng.uniform(0, np.pi)
    y, x = np.mgrid[:size, :size] / period
    u: Map = x * np.cos(angle) + y * np.sin(angle) + rng.uniform()
    v: Map = y * np.cos(angle) - x * np.sin(angle) + rng.uniform()
    return u, v


def _distance_to_lattice(rng: np.random.RandomState, size: int, period: float) -> Map:
    """Return the distance of every pixel to the nearest point of a square lattice, in periods."""
    u, v = _turned_grid(rng, size, period)
    distance: Map = np.hypot(u % 1 - 0.5, v % 1 - 0.5)
    return distance


def _draw_light(rng: np.random.RandomState, size: int) -> Map:
    """Return brightness that changes linearly over the picture, ``[size, size]``."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.4)
    light: Map = 1 + strength * (np.cos(angle) * x + np.sin(angle) * y)
    return light
