"""Overlays and legends of pictures of any size."""

import numpy as np
import pytest

from shared_ops.openmmlab.inference.classes import Classes
from shared_ops.openmmlab.inference.overlay import blend, draw_overlay

CLASSES = Classes(
    ['sky', 'a class with a rather long name', '$5', 'never there'],
    np.array([[0, 0, 255], [255, 0, 0], [0, 255, 0], [255, 0, 255]], np.uint8),
)


@pytest.mark.parametrize('size', [(1, 1), (1, 700), (31, 40), (300, 90), (481, 640)])
def test_every_size(size: tuple[int, int]) -> None:
    labels = np.random.RandomState(0).randint(0, 3, size).astype(np.uint8)
    overlay = draw_overlay(np.full((*size, 3), 100, np.uint8), labels, CLASSES, 0.5)
    scale = -(-480 // max(size))
    assert overlay.dtype == np.uint8
    assert overlay.shape[0] > size[0] * scale
    assert overlay.shape[1] >= max(size[1] * scale, 100)
    # colours of the classes that are present, in full, are in the legend and nowhere else
    legend = {tuple(color) for color in overlay.reshape(-1, 3).tolist()}
    present = set(np.unique(labels).tolist())
    assert {index for index, color in enumerate(CLASSES.palette.tolist()) if tuple(color) in legend} == present


def test_blend() -> None:
    picture = np.array([[[10, 20, 30], [200, 100, 0]]], np.uint8)
    labels = np.array([[0, 1]])
    assert (blend(picture, labels, CLASSES.palette, 0.0) == picture).all()
    assert (blend(picture, labels, CLASSES.palette, 1.0) == CLASSES.palette[labels]).all()
    assert blend(picture, labels, CLASSES.palette, 0.5).tolist() == [[[5, 10, 142], [228, 50, 0]]]


def test_a_large_picture_keeps_its_pixels() -> None:
    picture = np.random.RandomState(0).randint(0, 256, (500, 300, 3)).astype(np.uint8)
    overlay = draw_overlay(picture, np.zeros((500, 300), np.uint16), CLASSES, 0.0)
    left = (overlay.shape[1] - 300) // 2
    assert (overlay[:500, left : left + 300] == picture).all()


def test_many_classes_stand_in_columns() -> None:
    number = 150
    classes = Classes([f'class {index}' for index in range(number)], np.zeros((number, 3), np.uint8))
    labels = np.arange(600 * 900).reshape(600, 900) % number
    overlay = draw_overlay(np.zeros((600, 900, 3), np.uint8), labels, classes, 0.5)
    assert overlay.shape[1] == 900
    assert overlay.shape[0] < 1500
