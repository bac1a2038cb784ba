"""Curves of one training, or of several to compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..files import whole
from .scalars import Run, Series

# Okabe and Ito's colours, which the colour-blind tell apart.
_COLORS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9')
# Losses of which the largest is so many times the smallest are drawn on a logarithmic axis.
_WIDE = 20


def draw_curves(runs: Sequence[Run], path: Path) -> None:
    """Draw loss, learning rate and scores, one above the other.

    Args:
        runs: one training or several, which are drawn in one colour each.
        path: the picture to write; its ending says of which kind (``.png``, ``.svg``, ``.pdf``).

    Raises:
        ValueError: matplotlib writes no such kind of picture.
        OSError: it cannot be written.
    """
    figure = Figure(figsize=(8, 8.2), layout='constrained')
    loss_axes, rate_axes, score_axes = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1.5, 3])
    for index, run in enumerate(runs):
        color = _COLORS[index % len(_COLORS)]
        _draw_loss(loss_axes, run, color)
        rate_axes.plot(run.learning_rate.steps, run.learning_rate.values, color=color, linewidth=1.8)
        _draw_scores(score_axes, run, color, several=len(runs) > 1)

    finite = [value for run in runs for value in run.loss.values if np.isfinite(value)]
    if finite and min(finite) > 0 and max(finite) > _WIDE * min(finite):
        loss_axes.set_yscale('log')
    elif finite:
        loss_axes.set_ylim(0, None)
    loss_axes.set_ylabel('training loss')
    rate_axes.set_ylabel('learning rate')
    rate_axes.ticklabel_format(axis='y', style='sci', scilimits=(0, 0))
    rate_axes.set_ylim(0, None)
    best = max((value for run in runs for series in run.scores.values() for value in series.values), default=100)
    # the next ten, with room for the legend
    top = min(100, 10 * math.ceil(best / 10 + 0.5)) if math.isfinite(best) else 100
    score_axes.set(ylabel='validation score (%)', xlabel='iteration', ylim=(0, top))
    score_axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(runs[0].name if len(runs) == 1 else f'{len(runs)} trainings', fontsize=13)
    for axes in (loss_axes, rate_axes, score_axes):
        axes.grid(color='#e6e8eb', linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[['top', 'right']].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=9)
    if not any(run.scores for run in runs):
        score_axes.text(0.5, 0.5, 'not validated yet', transform=score_axes.transAxes, ha='center', color='#8a929b')
    # a viewer may have the picture open
    with whole(path) as unfinished:
        figure.savefig(unfinished, dpi=110, format=path.suffix[1:])


def _draw_loss(axes: Any, run: Run, color: str) -> None:
    steps, values = run.loss.steps, run.loss.values
    smooth = running_mean(run.loss)
    if smooth is None:
        axes.plot(steps, values, color=color, linewidth=1.8, label=run.name)
        return
    axes.plot(steps, values, color=color, alpha=0.3, linewidth=0.8)
    axes.plot(steps, smooth, color=color, linewidth=1.8, label=f'{run.name} (mean of neighbours)')


def _draw_scores(axes: Any, run: Run, color: str, *, several: bool) -> None:
    styles = ('o-', 's--', '^:', 'd-.')
    for index, (name, series) in enumerate(run.scores.items()):
        if not series.steps:
            continue
        best = int(np.nanargmax(series.values)) if not np.isnan(series.values).all() else 0
        label = f'{name}, best {series.values[best]:.1f} at {series.steps[best]}'
        axes.plot(
            series.steps,
            series.values,
            styles[index % len(styles)],
            color=color,
            linewidth=1.8,
            markersize=4,
            label=f'{run.name}: {label}' if several else label,
        )


def running_mean(series: Series) -> list[float] | None:
    """Return for every value the mean of it and its neighbours, about a twentieth of all; None for short series."""
    reach = len(series.values) // 40
    if reach < 1:
        return None
    values = np.asarray(series.values)
    return [float(np.nanmean(values[max(0, i - reach) : i + reach + 1])) for i in range(len(values))]
