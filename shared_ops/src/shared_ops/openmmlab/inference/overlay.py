"""A picture with the classes laid over it and a legend below."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from .classes import Classes

Image = NDArray[np.uint8]

# A picture whose longer side is shorter than this is enlarged, by a whole number, so that a legend fits its width.
_SHORTEST = 480
PAPER, INK, FAINT = '#ffffff', '#24292f', '#6b737c'


def draw_overlay(picture: Image, labels: NDArray[Any], classes: Classes, opacity: float) -> Image:
    """Draw the classes over a picture, and a legend of those that are present, by area.

    Args:
        picture: uint8 ``[H, W, 3]`` (RGB).
        labels: index of the class of every pixel, ``[H, W]``.
        classes: what the indices mean.
        opacity: of the colours, from 0, the picture alone, to 1, the colours alone.

    Returns:
        uint8 ``[H', W', 3]`` (RGB): larger than the picture by the legend, and where it is small by a whole factor.
    """
    blended = blend(picture, labels, classes.palette, opacity)
    areas = np.bincount(labels.ravel(), minlength=len(classes.names))
    scale = math.ceil(_SHORTEST / max(picture.shape[:2]))
    enlarged = blended.repeat(scale, axis=0).repeat(scale, axis=1)
    legend = draw_legend(areas, classes, enlarged.shape)
    width = max(enlarged.shape[1], legend.shape[1])
    return np.concatenate([_center(enlarged, width), _center(legend, width)], axis=0)


def blend(picture: Image, labels: NDArray[Any], palette: Image, opacity: float) -> Image:
    """Mix a picture ``[H, W, 3]`` with the colours of its labels ``[H, W]``."""
    return cv2.addWeighted(picture, 1 - opacity, palette[labels], opacity, 0).astype(np.uint8, copy=False)


def draw_legend(areas: NDArray[np.int64], classes: Classes, picture_shape: tuple[int, ...]) -> Image:
    """Draw the legend that stands under a picture; its text grows with the picture, which is looked at as a whole.

    Args:
        areas: number of pixels of every class, at least one of them more than 0.
        classes: what the indices mean.
        picture_shape: height and width of the picture in pixels.

    Returns:
        uint8 ``[H', W', 3]`` (RGB): as wide as the picture, or wider where an entry needs it.
    """
    return draw_entries(areas, classes, picture_shape[1], max(13.0, 0.016 * max(picture_shape[:2])))


def draw_entries(areas: NDArray[np.int64], classes: Classes, width: int, size: float) -> Image:
    """Draw colour, name and share of every class that is present, by area, in columns.

    Args:
        areas: number of pixels of every class, at least one of them more than 0.
        classes: what the indices mean.
        width: of the legend in pixels, if that is enough for an entry.
        size: of the text in pixels.

    Returns:
        uint8 ``[H', W', 3]`` (RGB).
    """
    order = [index for index in np.argsort(-areas, kind='stable') if areas[index]]
    entries = [(classes.names[index], classes.palette[index]) for index in order]
    shares = [_percent(areas[index] / areas.sum()) for index in order]

    font = FontProperties(size=size)
    ruler = FigureCanvasAgg(Figure(dpi=72)).get_renderer()  # a point is a pixel
    name_width = max(ruler.get_text_width_height_descent(name, font, False)[0] for name, _ in entries)
    share_width = max(ruler.get_text_width_height_descent(share, font, False)[0] for share in shares)
    swatch, gap, line = 1.6 * size, 0.6 * size, 1.75 * size
    column = swatch + gap + share_width + gap + name_width + 2 * gap

    width = max(width, math.ceil(column + 2 * gap))
    columns = min(int((width - 2 * gap) // column), len(entries))
    rows = math.ceil(len(entries) / columns)
    height = math.ceil(rows * line + 2 * gap)

    figure = Figure(figsize=(width / 72, height / 72), dpi=72, facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for number, ((name, color), share) in enumerate(zip(entries, shares)):
        across, down = divmod(number, rows)
        x, middle = 2 * gap + across * column, gap + (down + 0.5) * line
        axes.add_patch(
            Rectangle((x, middle - 0.55 * size), swatch, 1.1 * size, facecolor=color / 255, edgecolor=FAINT, lw=0.5)
        )
        style: dict[str, Any] = {'fontproperties': font, 'verticalalignment': 'center_baseline', 'parse_math': False}
        x += swatch + gap + share_width
        axes.text(x, middle, share, color=FAINT, horizontalalignment='right', **style)
        axes.text(x + gap, middle, name, color=INK, **style)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def _percent(share: float) -> str:
    return f'{100 * share:.1f}%' if share >= 0.0005 else '<0.1%'


def _center(image: Image, width: int) -> Image:
    left, right = (width - image.shape[1]) // 2, (width - image.shape[1] + 1) // 2
    return np.pad(image, ((0, 0), (left, right), (0, 0)), constant_values=255)
