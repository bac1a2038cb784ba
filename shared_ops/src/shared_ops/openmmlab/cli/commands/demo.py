"""``demo``: from drawn scenes to a segmented picture."""

import argparse
from pathlib import Path

from ...zoo.configs import Configs


def add(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Add the parser of ``demo``."""
    from ...demo import ITERATIONS

    demo = commands.add_parser(
        'demo',
        help='train a small ViT-Adapter on drawn scenes and show what it sees (vit_adapter alone has it)',
        description='Draw a data set of scenes, train a small ViT-Adapter on it, evaluate it and draw what it sees. '
        'Only vit_adapter has a demo.',
        epilog='Exit status: 0 if the model has learned the scenes, 1 if not.',
    )
    demo.add_argument('--out', metavar='DIR', type=Path, default=Path('demo'), help='default: %(default)s')
    demo.add_argument('--seed', type=int, default=0, help='of scenes, initial weights and order (default: %(default)s)')
    demo.add_argument(
        '--iterations', type=int, default=ITERATIONS, help='number of training steps (default: %(default)s)'
    )
    demo.set_defaults(run=_demo)


def _demo(options: argparse.Namespace, configs: Configs) -> int:
    from ...demo import run

    return run(configs.package, options.out, seed=options.seed, iterations=options.iterations)
