"""What several models see on a picture, on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray

from .classes import Classes
from .ground_truth import IGNORED, Score
from .overlay import FAINT, INK, PAPER, Image, blend, draw_entries

# in pixels: the longer side of every picture, the least room for a heading, gaps, and the text
_SIDE, _NARROWEST, _GAP, _HEADING, _TEXT = 640, 420, 20, 52, 15.0
_OPACITY = 0.6
# a legend of every class that has three pixels somewhere would hide those that matter
_SMALLEST_SHARE = 0.001


@dataclass(frozen=True)
class ModelResult:
    """What one model sees.

    Attributes:
        name: of the model.
        labels: index of the class of every pixel, ``[H, W]``.
        seconds: that it took.
        score: against the ground truth, where there is one.
    """

    name: str
    labels: NDArray[Any]
    seconds: float
    score: Score | None = None


@dataclass(frozen=True)
class _Panel:
    heading: str
    remark: str
    picture: Image


def draw_comparison(
    picture: Image,
    results: Sequence[ModelResult],
    classes: Classes,
    *,
    title: str,
    truth: NDArray[np.uint8] | None = None,
) -> Image:
    """Draw a picture, what models see on it, where they disagree, and a legend for all.

    Args:
        picture: uint8 ``[H, W, 3]`` (RGB).
        results: of one model or more.
        classes: what the labels mean, for all models.
        title: first line of the sheet.
        truth: ground truth, ``[H, W]``, ``IGNORED`` where none is known.

    Returns:
        uint8 ``[H', W', 3]`` (RGB).
    """
    panels = [_Panel('picture', '', _resize(picture))]
    if truth is not None:
        panels.append(_Panel('ground truth', _ignored_share(truth), _lay_over(picture, truth, classes)))
    for result in results:
        panels.append(_Panel(result.name, _remark(result), _lay_over(picture, result.labels, classes)))
    if len(results) > 1:
        panels.append(_disagreement(picture, [result.labels for result in results]))
    maps = [result.labels for result in results] + ([] if truth is None else [truth])
    return _compose(title, panels, _areas(maps, len(classes.names)), classes)


def disagreement(maps: Sequence[NDArray[Any]]) -> NDArray[np.intp]:
    """Return how many models see another class than most do, in every pixel, ``[H, W]``.

    Args:
        maps: a label map ``[H, W]`` of every model.
    """
    stack = np.stack(maps)  # [models, H, W]
    most = np.zeros(stack.shape[1:], np.intp)
    for labels in stack:
        most = np.maximum(most, (stack == labels).sum(axis=0))
    return len(stack) - most


def _lay_over(picture: Image, labels: NDArray[Any], classes: Classes) -> Image:
    """Mix a picture with the colours of its labels, at the size of the sheet; what is ignored stays as it is."""
    large = _resize(picture)
    labels = cv2.resize(labels, (large.shape[1], large.shape[0]), interpolation=cv2.INTER_NEAREST_EXACT)
    ignored = labels == IGNORED if len(classes.names) <= IGNORED else np.zeros(labels.shape, bool)
    mixed = blend(large, np.where(ignored, 0, labels), classes.palette, _OPACITY)
    mixed[ignored] = large[ignored]
    return mixed


def _disagreement(picture: Image, maps: Sequence[NDArray[Any]]) -> _Panel:
    against = disagreement(maps)
    large = _resize(picture)
    grey = cv2.cvtColor(cv2.cvtColor(large, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    faded = cv2.addWeighted(grey, 0.4, np.full_like(grey, 255), 0.6, 0)
    against = cv2.resize(
        against.astype(np.uint8), (large.shape[1], large.shape[0]), interpolation=cv2.INTER_NEAREST_EXACT
    )
    # the more models differ, the darker, from orange to dark red
    steps = np.linspace(0.5, 1.0, len(maps)) if len(maps) > 2 else [0.0, 0.8]
    colors = np.array([[round(255 * channel) for channel in colormaps['YlOrRd'](step)[:3]] for step in steps], np.uint8)
    shown = np.where(against[..., None] > 0, blend(faded, against, colors, 0.8), faded)
    share = float((disagreement(maps) > 0).mean())
    remark = f'{100 * share:.1f}% of the pixels'
    if len(maps) > 2:
        remark += '; the darker, the more models differ from the others'
    return _Panel('where the models disagree', remark, shown)


def _remark(result: ModelResult) -> str:
    seconds = result.seconds
    time = f'{seconds:.1f} s/picture' if seconds >= 1 else f'{1000 * seconds:.0f} ms/picture'
    if result.score is None:
        return time
    return f'{time}   pixel accuracy {100 * result.score.accuracy:.1f}%   mIoU {100 * result.score.mean_iou:.1f}'


def _ignored_share(truth: NDArray[np.uint8]) -> str:
    share = float((truth == IGNORED).mean())
    return f'{100 * share:.1f}% of the pixels do not count' if share else ''


def _areas(maps: Sequence[NDArray[Any]], number: int) -> NDArray[np.int64]:
    """Return how many pixels the classes have in all maps, without those that hardly appear."""
    counts = sum(np.bincount(labels[labels < number].ravel(), minlength=number) for labels in maps)
    areas = np.asarray(counts, np.int64)
    return np.where(areas >= _SMALLEST_SHARE * areas.sum(), areas, 0)


def _resize(picture: Image) -> Image:
    height, width = picture.shape[:2]
    scale = _SIDE / max(height, width)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return resized.astype(np.uint8, copy=False)


def _compose(title: str, panels: Sequence[_Panel], areas: NDArray[np.int64], classes: Classes) -> Image:
    height, width = panels[0].picture.shape[:2]
    cell = max(width, _NARROWEST), height + _HEADING
    columns = _columns(len(panels), cell)
    rows = math.ceil(len(panels) / columns)
    total = columns * (cell[0] + _GAP) + _GAP
    legend = draw_entries(areas, classes, total, _TEXT)
    total = max(total, legend.shape[1])
    top = 2 * _GAP + 20
    bottom = top + rows * (cell[1] + _GAP)

    note = f'Legend: share of the label maps above, together; classes below {100 * _SMALLEST_SHARE:.1f}% left out.'
    sheet = np.full((bottom + legend.shape[0] + 2 * _GAP, total, 3), 255, np.uint8)
    sheet[bottom + _GAP : bottom + _GAP + legend.shape[0], : legend.shape[1]] = legend
    corners = [
        (_GAP + (index % columns) * (cell[0] + _GAP), top + (index // columns) * (cell[1] + _GAP))
        for index in range(len(panels))
    ]
    for panel, (x, y) in zip(panels, corners):
        sheet[y + _HEADING : y + _HEADING + height, x : x + width] = panel.picture

    figure = Figure(figsize=(total / 72, len(sheet) / 72), dpi=72, facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    figure.figimage(sheet, origin='upper', zorder=-1)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, total), ylim=(len(sheet), 0))
    axes.set_axis_off()
    _write(axes, _GAP, 1.3 * _GAP + 8, title, _TEXT + 3, INK, total - 2 * _GAP, bold=True)
    for panel, (x, y) in zip(panels, corners):
        _write(axes, x, y + 16, panel.heading, _TEXT, INK, cell[0], bold=True)
        _write(axes, x, y + 37, panel.remark, _TEXT - 1, FAINT, cell[0])
    _write(axes, _GAP, bottom + 8, note, _TEXT - 2, FAINT, total - 2 * _GAP)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def _columns(number: int, cell: tuple[int, int]) -> int:
    """Return the number of columns that leaves few places empty on a sheet somewhat wider than high."""

    def badness(columns: int) -> float:
        rows = math.ceil(number / columns)
        shape = columns * cell[0] / (rows * cell[1])
        return abs(math.log(shape / 1.6)) + 0.5 * (rows * columns - number) / number

    return min(range(1, number + 1), key=badness)


def _write(
    axes: Axes, x: float, y: float, text: str, size: float, color: str, width: float, bold: bool = False
) -> None:
    """Write a line, in smaller letters where it would not fit."""
    font = FontProperties(size=size, weight='bold' if bold else 'normal')
    ruler = FigureCanvasAgg(Figure(dpi=72)).get_renderer()
    needed = ruler.get_text_width_height_descent(text, font, False)[0]
    font.set_size(size * min(1.0, width / max(needed, 1.0)))
    axes.text(x, y, text, color=color, fontproperties=font, verticalalignment='center_baseline', parse_math=False)
