"""Drawn scenes in which what a pixel is follows from shape, never from colour.

Every surface, the background included, takes its colours and its texture from the same distribution. A
picture shows a few shapes that may hide parts of one another, uneven light and noise.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

CLASSES = ('background', 'disc', 'ring', 'triangle', 'bar', 'cross')
# RGB, for pictures of label maps only: the scenes themselves know nothing of them
PALETTE = ((58, 64, 74), (240, 180, 41), (71, 158, 245), (232, 85, 77), (85, 190, 110), (178, 115, 226))
SIZE = 128
SPLITS = {'train': 640, 'val': 64}

# Colours of two surfaces are at least so far apart (RGB, 0 to 255) that an eye can tell them from each other.
_CONTRAST = 110.0
# Drawing positions in sixteenths of a pixel keeps small shapes from snapping to the grid.
_SUBPIXEL_BITS = 4


def _regular_polygon(corners: int, radius: float = 1.0) -> NDArray[np.float64]:
    angles = 2 * np.pi * np.arange(corners) / corners
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # [corners, 2]


def _cross() -> NDArray[np.float64]:
    quarter = np.array([(1.0, -_ARM), (1.0, _ARM), (_ARM, _ARM)])
    turn = np.array([(0.0, 1.0), (-1.0, 0.0)])  # a quarter of a circle, for row vectors
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, k) for k in range(4)])  # [12, 2]


_ARM = 0.3
# Outlines within the unit circle, (x, y); a second outline cuts a hole.
_OUTLINES = {
    'disc': [_regular_polygon(64)],
    'ring': [_regular_polygon(64), _regular_polygon(64, radius=0.55)],
    'triangle': [_regular_polygon(3, radius=1.15)],
    'bar': [np.array([(-1.1, -_ARM), (1.1, -_ARM), (1.1, _ARM), (-1.1, _ARM)])],
    'cross': [_cross()],
}


def draw_scene(rng: np.random.RandomState, size: int = SIZE) -> tuple[Image, Image]:
    """Draw one scene.

    Args:
        rng: source of every choice.
        size: height and width in pixels.

    Returns:
        The picture, uint8 ``[size, size, 3]`` (RGB), and its label map, uint8 ``[size, size]``, with indices
        into ``CLASSES``.
    """
    background = _draw_colors(rng, apart_from=None)
    picture = _draw_surface(rng, background, size)
    labels = np.zeros((size, size), np.uint8)
    for _ in range(rng.randint(3, 6)):
        label = rng.randint(1, len(CLASSES))
        coverage = _place(rng, CLASSES[label], labels)
        surface = _draw_surface(rng, _draw_colors(rng, apart_from=background), size)
        picture += coverage[..., None] * (surface - picture)
        labels[coverage >= 0.5] = label
    lit = picture * _draw_light(rng, size)[..., None]
    noisy = lit + rng.normal(0, rng.uniform(2, 12), lit.shape)
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
        raise OSError(f'{path} could not be written')


def _draw_colors(rng: np.random.RandomState, apart_from: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Draw two RGB colours ``[2, 3]``, both well apart from both of ``apart_from``."""
    while True:
        first = rng.uniform(0, 255, 3)
        # a texture stays within one family of colours, so that it reads as one surface
        colors = np.stack([first, np.clip(first + rng.uniform(-60, 60, 3), 0, 255)])
        if apart_from is None:
            return colors
        distances = np.linalg.norm(colors[:, None] - apart_from[None], axis=-1)  # [2, 2]
        if distances.min() > _CONTRAST:
            return colors


def _draw_surface(rng: np.random.RandomState, colors: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Mix two colours by a random texture: ``[size, size, 3]``."""
    texture = _TEXTURES[rng.randint(len(_TEXTURES))](rng, size)
    surface: NDArray[np.float64] = colors[0] + texture[..., None] * (colors[1] - colors[0])
    return surface


def _plain(rng: np.random.RandomState, size: int) -> NDArray[np.float64]:
    return np.full((size, size), rng.uniform())


def _stripes(rng: np.random.RandomState, size: int) -> NDArray[np.float64]:
    u, _ = _rotated_grid(rng, size)
    stripes: NDArray[np.float64] = (u % 2 < 1).astype(np.float64)
    return stripes


def _checker(rng: np.random.RandomState, size: int) -> NDArray[np.float64]:
    u, v = _rotated_grid(rng, size)
    checks: NDArray[np.float64] = (np.floor(u) + np.floor(v)) % 2
    return checks


def _blotches(rng: np.random.RandomState, size: int) -> NDArray[np.float64]:
    coarse = rng.uniform(size=(12, 12))
    smooth = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.asarray(smooth, np.float64), 0, 1)


_TEXTURES: list[Callable[[np.random.RandomState, int], NDArray[np.float64]]] = [
    _plain,
    _stripes,
    _checker,
    _blotches,
]


def _rotated_grid(rng: np.random.RandomState, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two perpendicular coordinates that count periods of 3 to 7 pixels."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 7)
    y, x = np.mgrid[:size, :size] / period
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _place(rng: np.random.RandomState, name: str, labels: Image) -> NDArray[np.float64]:
    """Find a place where the shape hides little of the others; return its coverage of pixels, 0 to 1."""
    size = len(labels)
    for _ in range(20):
        radius = size * rng.uniform(0.14, 0.24)
        center = rng.uniform(0.8 * radius, size - 0.8 * radius, 2)
        coverage = _rasterize(_OUTLINES[name], center, radius, rng.uniform(0, 2 * np.pi), size)
        if (coverage * (labels > 0)).sum() < 0.15 * coverage.sum():
            break
    return coverage


def _rasterize(
    outlines: list[NDArray[np.float64]], center: NDArray[np.float64], radius: float, angle: float, size: int
) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    turn = radius * np.array([[cos, -sin], [sin, cos]])
    points = [np.rint((outline @ turn.T + center) * 2**_SUBPIXEL_BITS).astype(np.int32) for outline in outlines]
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, points, 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    return mask / 255.0


def _draw_light(rng: np.random.RandomState, size: int) -> NDArray[np.float64]:
    """Return brightness that changes linearly over the picture, ``[size, size]``."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.4)
    light: NDArray[np.float64] = 1 + strength * (np.cos(angle) * x + np.sin(angle) * y)
    return light
