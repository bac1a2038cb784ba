"""``plot``: curves of trainings."""

import argparse
from pathlib import Path

from ...zoo.configs import Configs


def add(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Add the parser of ``plot``."""
    plot = commands.add_parser(
        'plot',
        help='draw loss, learning rate and scores of trainings',
        description='Draw loss, learning rate and validation scores over the iterations, as logged by one training or '
        'by several. Training itself keeps such a picture, curves.png, in its work folder.',
    )
    plot.add_argument(
        'folders', metavar='WORK_DIR', type=Path, nargs='+', help='folder that a training wrote into; several: compared'
    )
    plot.add_argument(
        '--out', metavar='FILE', type=Path, help='.png, .svg or .pdf (default: curves.png in the first WORK_DIR)'
    )
    plot.set_defaults(run=_plot)


def _plot(options: argparse.Namespace, _: Configs) -> int:
    from ...curves.drawing import draw_curves
    from ...curves.hook import PICTURE
    from ...curves.scalars import read_run

    runs = [read_run(folder) for folder in options.folders]
    out = options.out or options.folders[0] / PICTURE
    out.parent.mkdir(parents=True, exist_ok=True)
    draw_curves(runs, out)
    for run in runs:
        scores = ''.join(f', {name} {series.values[-1]:.2f}' for name, series in run.scores.items() if series.values)
        print(f'{run.name}: {run.loss.steps[-1]} iterations, loss {run.loss.values[-1]:.4g}{scores}')
    print(out)
    return 0
