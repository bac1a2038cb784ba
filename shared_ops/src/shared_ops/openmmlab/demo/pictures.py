"""What the model sees, beside the truth, and how it learned."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ...errors import FileError
from .progress import Curves
from .scenes import CLASSES, PALETTE, Image

_INK, _FAINT = '#24292f', '#8a929b'


def overlay(picture: Image, labels: Image) -> Image:
    """Lay the colours of a label map, uint8 ``[H, W]``, over a greyed picture, uint8 ``[H, W, 3]`` (RGB)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None]  # [H, W, 1]
    colors = np.array(PALETTE)[labels]  # [H, W, 3]
    blended: Image = np.rint(0.3 * grey + 0.7 * colors).astype(np.uint8)
    return blended


def write_overlay(path: Path, picture: Image, truth: Image, prediction: Image) -> None:
    """Write picture, truth and prediction side by side, twice as large."""
    row = np.concatenate([picture, overlay(picture, truth), overlay(picture, prediction)], axis=1)
    row = cv2.resize(row, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    if not cv2.imwrite(os.fspath(path), cv2.cvtColor(row, cv2.COLOR_RGB2BGR)):
        raise FileError(f'{path} could not be written')


def draw_sheet(path: Path, scenes: list[tuple[Image, Image, Image]], title: str) -> None:
    """Draw scenes in two columns of (picture, truth, prediction) with a legend of the classes."""
    rows = -(-len(scenes) // 2)
    figure = Figure(figsize=(12.6, 2.02 * rows + 1.3))
    top, bottom = 1 - 0.95 / figure.get_figheight(), 0.5 / figure.get_figheight()
    grid = figure.add_gridspec(
        rows, 7, width_ratios=[1, 1, 1, 0.12, 1, 1, 1], hspace=0.04, wspace=0.04,
        left=0.01, right=0.99, top=top, bottom=bottom,
    )  # fmt: skip
    for index, (picture, truth, prediction) in enumerate(scenes):
        row, block = divmod(index, 2)
        panels = {
            'image': picture,
            'ground truth': overlay(picture, truth),
            'prediction': overlay(picture, prediction),
        }
        for column, (name, panel) in enumerate(panels.items()):
            axes = figure.add_subplot(grid[row, 4 * block + column])
            axes.imshow(panel)
            axes.set_axis_off()
            if row == 0:
                axes.set_title(name, fontsize=11, color=_INK)
    figure.suptitle(title, fontsize=13, color=_INK, y=1 - 0.22 / figure.get_figheight())
    figure.legend(
        handles=[Patch(color=np.array(color) / 255, label=name) for name, color in zip(CLASSES, PALETTE)],
        loc='lower center', ncols=len(CLASSES), frameon=False, fontsize=11,
    )  # fmt: skip
    figure.savefig(path, dpi=100)


def draw_curves(path: Path, curves: Curves, *, baseline: float, goal: float) -> None:
    """Plot loss and mIoU over the iterations, with the colour classifier's mIoU and the goal."""
    figure = Figure(figsize=(8, 6.4), layout='constrained')
    loss_axes, iou_axes = figure.subplots(2, 1, sharex=True)
    iterations = np.arange(1, len(curves.losses) + 1)
    loss_axes.plot(iterations, curves.losses, color='#9ecae9', linewidth=0.8, label='each iteration')
    smooth = _running_mean(curves.losses)
    loss_axes.plot(iterations, smooth, color='#1f6fb4', linewidth=2, label='running mean')
    loss_axes.set(ylabel='training loss', ylim=(0, None))
    loss_axes.legend(frameon=False)

    iou_axes.plot(curves.evaluated_at, curves.mean_ious, 'o-', color='#2e8b57', linewidth=2, label='the model')
    iou_axes.axhline(goal, color=_FAINT, linestyle='--', linewidth=1, label=f'goal: {goal:.0f}')
    iou_axes.axhline(
        baseline,
        color='#c44e52',
        linestyle=':',
        linewidth=1.5,
        label=f'colour of the pixel alone: {baseline:.1f}',
    )
    iou_axes.set(ylabel='mIoU on held-back scenes (%)', xlabel='iteration', ylim=(0, 100))
    iou_axes.set_xlim(0, len(curves.losses))
    iou_axes.legend(frameon=False, loc='center right')
    for axes in (loss_axes, iou_axes):
        axes.grid(color='#e6e8eb', linewidth=0.8)
        axes.set_axisbelow(True)
        for side in ('top', 'right'):
            axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=110)


def _running_mean(values: list[float], reach: int = 10) -> list[float]:
    """Return for every value the mean of it and of up to ``reach`` neighbours on either side."""
    return [float(np.mean(values[max(0, i - reach) : i + reach + 1])) for i in range(len(values))]
