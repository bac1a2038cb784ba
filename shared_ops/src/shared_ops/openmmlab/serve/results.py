"""What was found on the pictures of the last minutes."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..inference.classes import Classes
from ..inference.overlay import draw_overlay


@dataclass(frozen=True)
class Area:
    """How much of a picture a class takes.

    Attributes:
        index: of the class.
        name: of the class.
        color: in the notation of web pages, ``'#rrggbb'``.
        share: of the picture, 0 to 1.
    """

    index: int
    name: str
    color: str
    share: float


@dataclass(frozen=True)
class Result:
    """A picture and its classes.

    Attributes:
        picture: what the model saw, uint8 ``[H, W, 3]``, BGR.
        labels: index of the class of every pixel, ``[H, W]``, uint8 or uint16.
        classes: what the indices mean.
    """

    picture: NDArray[np.uint8]
    labels: NDArray[Any]
    classes: Classes

    def areas(self) -> list[Area]:
        """Return the classes that are present, the largest first."""
        present, counts = np.unique(self.labels, return_counts=True)
        return [
            Area(
                int(index),
                self.classes.names[index],
                '#{:02x}{:02x}{:02x}'.format(*self.classes.palette[index]),
                float(count) / self.labels.size,
            )
            for index, count in sorted(zip(present, counts), key=lambda each: -each[1])
        ]

    def overlay(self, opacity: float) -> NDArray[np.uint8]:
        """Draw the classes over the picture, with a legend, as ``predict`` does: uint8 ``[H', W', 3]``, BGR."""
        picture = cv2.cvtColor(self.picture, cv2.COLOR_BGR2RGB)
        drawn = draw_overlay(np.asarray(picture, np.uint8), self.labels, self.classes, opacity)
        return np.asarray(cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR), np.uint8)


class Results:
    """The last results, by names that nobody guesses.

    Args:
        number: how many are kept; the oldest makes room for the next one.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._results: OrderedDict[str, Result] = OrderedDict()

    def add(self, result: Result) -> str:
        """Keep a result and return its name."""
        name = secrets.token_urlsafe(16)
        self._results[name] = result
        while len(self._results) > self._number:
            self._results.popitem(last=False)
        return name

    def find(self, name: str) -> Result | None:
        """Return the result of that name, or None where it is no longer kept or never was."""
        return self._results.get(name)


def png(image: NDArray[Any]) -> bytes:
    """Return an image as PNG: uint8 or uint16 ``[H, W]``, or uint8 ``[H, W, 3]``, BGR."""
    _, encoded = cv2.imencode('.png', image)
    return encoded.tobytes()
