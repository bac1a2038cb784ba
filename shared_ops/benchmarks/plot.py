"""Draws the ratios of every shape."""

from pathlib import Path

import matplotlib
from results import Results
from rows import OPERATORS, machine_line
from summary import OURS, Pairing, Ratio, ratios

matplotlib.use('agg')
import matplotlib.pyplot as plt

COLOURS = {'plain PyTorch': 'tab:blue'}
PEERS = ['tab:orange', 'tab:green', 'tab:red', 'tab:purple', 'tab:brown', 'tab:olive', 'tab:cyan']
MARKERS = {1: 'o', 2: 's', 16: '^'}


def _panel(axes: plt.Axes, found: dict[Pairing, list[Ratio]]) -> None:
    cases = sorted({ratio.case for values in found.values() for ratio in values})
    positions = {case: position for position, case in enumerate(reversed(cases))}
    opponents = sorted({pairing.opponent for pairing in found})
    peers = iter(PEERS)
    colours = {name: COLOURS.get(name) or next(peers) for name in opponents}
    for pairing, values in found.items():
        for batch in sorted({ratio.batch for ratio in values}):
            chosen = [ratio for ratio in values if ratio.batch == batch]
            axes.plot(
                [ratio.median for ratio in chosen],
                [positions[ratio.case] for ratio in chosen],
                linestyle='none',
                marker=MARKERS.get(batch, 'x'),
                color=colours[pairing.opponent],
                markersize=4,
                label=f'{pairing.opponent}, batch {batch}',
            )
    axes.axvline(1, color='black', linewidth=0.8)
    axes.set_xscale('log', base=2)
    axes.xaxis.set_major_formatter('{x:g}')
    axes.set_yticks(list(positions.values()), list(positions), fontsize=6)
    axes.grid(axis='x', linewidth=0.4)


def draw_plot(results: Results, path: Path) -> None:
    """Write a picture of how many times longer than ours each opponent takes in float32, shape by shape."""
    found = {
        pairing: values
        for pairing, values in ratios(results).items()
        if pairing.opponent != OURS and pairing.precision == 'float32'
    }
    operators = [name for name in OPERATORS if any(pairing.operator == name for pairing in found)]
    directions = sorted({pairing.direction for pairing in found})
    if not found:
        return
    heights = [
        1 + len({ratio.case for pairing, values in found.items() if pairing.operator == name for ratio in values})
        for name in operators
    ]
    figure, grid = plt.subplots(
        len(operators),
        len(directions),
        figsize=(5 * len(directions), 1.5 + 0.17 * sum(heights)),
        height_ratios=heights,
        sharey='row',
        squeeze=False,
        layout='constrained',
    )
    for row, operator in zip(grid, operators):
        for axes, direction in zip(row, directions):
            chosen = {p: r for p, r in found.items() if (p.operator, p.direction) == (operator, direction)}
            _panel(axes, chosen)
            axes.set_title(f'{OPERATORS[operator]}, {direction}', fontsize=8)
            axes.tick_params(labelsize=6)
        row[-1].legend(fontsize=6, loc='best')
    figure.supxlabel('times longer than shared_ops, float32', fontsize=8)
    figure.suptitle(machine_line(results), fontsize=6)
    figure.savefig(path, dpi=110)
    plt.close(figure)
