"""``python -m PACKAGE``: the subcommands and what they take."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from .configs import Configs
from .errors import is_bad_input

_TOOLS = {
    'train': "train a config found by name, with the options of MMSegmentation's tools/train.py",
    'test': "evaluate a checkpoint, with the options of MMSegmentation's tools/test.py",
}


def main(package: str, argv: Sequence[str] | None = None) -> int:
    """Run the command line of a package.

    Args:
        package: import name of the package, whose ``CONFIG_DIR`` holds its configs.
        argv: the arguments, without the program's name (default: those of the process).

    Returns:
        The exit status: 0 where all went well, 1 where a part of it failed (images that were skipped, a demo that did
        not learn), 2 where nothing could be done with what was given.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    module = importlib.import_module(package)
    configs = Configs(package, module.CONFIG_DIR)
    try:
        if arguments[:1] in (['train'], ['test']):
            # all that follows the config belongs to MMSegmentation's tool, its --help included
            from .tools import run_tool

            return run_tool(arguments[0], arguments[1:], configs)
        options = _parser(package, module.__version__).parse_args(arguments)
        return _run(options, package, configs)
    except KeyboardInterrupt:
        print(f'python -m {package}: interrupted', file=sys.stderr)
        return 130  # as shells count it
    except Exception as error:
        if not is_bad_input(error):
            raise
        print(f'python -m {package}: error: {error}', file=sys.stderr)
        return 2


def _run(options: argparse.Namespace, package: str, configs: Configs) -> int:
    if options.command == 'ls':
        print('\n'.join(configs.names()))
        return 0
    if options.command == 'path':
        print(configs.find(options.config))
        return 0
    if options.command == 'predict':
        # MMSegmentation prints debugging lines when it is imported
        with contextlib.redirect_stdout(io.StringIO()):
            from .predict import predict

        return predict(
            configs.find(options.config),
            options.checkpoint,
            options.images,
            options.out,
            device=options.device,
            opacity=options.opacity,
            cfg_options=options.cfg_options,
        )
    from ..demo import run

    return run(package, options.out, seed=options.seed, iterations=options.iterations)


def _parser(package: str, version: str) -> argparse.ArgumentParser:
    from mmengine.config import DictAction

    from ..demo import ITERATIONS

    parser = argparse.ArgumentParser(
        prog=f'python -m {package}',
        epilog=f'`python -m {package} COMMAND --help` explains a command.',
    )
    parser.add_argument('--version', action='version', version=f'{package} {version}')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')

    commands.add_parser('ls', help='list the configs, one a line', description='List the configs, one a line.')
    path = commands.add_parser(
        'path', help='print where a config lies', description='Print the absolute path of a config.'
    )
    _add_config(path)
    for name, help_text in _TOOLS.items():
        commands.add_parser(name, help=help_text)

    predict = commands.add_parser(
        'predict',
        help='write label maps and coloured overlays of pictures',
        description='Segment pictures. DIR/labels gets the class index of every pixel, DIR/overlays the pictures with '
        'the classes laid over them and a legend.',
        epilog='Exit status: 0 if all pictures were segmented, 1 if some were skipped, 2 if none could be tried.',
    )
    _add_config(predict)
    predict.add_argument('checkpoint', metavar='CHECKPOINT', help='file with the weights of the model')
    predict.add_argument(
        'images',
        metavar='IMAGES',
        nargs='+',
        help="image files, folders, which are searched for images at any depth, and patterns such as '**/*.jpg'",
    )
    predict.add_argument('--out', metavar='DIR', type=Path, required=True, help='folder to write into')
    predict.add_argument('--device', help='such as cpu, cuda or cuda:1 (default: cuda where there is one)')
    predict.add_argument(
        '--opacity', type=float, default=0.5, help='of the colours over the picture, 0 to 1 (default: %(default)s)'
    )
    predict.add_argument(
        '--cfg-options',
        metavar='KEY=VALUE',
        nargs='+',
        action=DictAction,
        default={},
        help='settings of the config to change, such as model.test_cfg.mode=whole',
    )

    demo = commands.add_parser(
        'demo',
        help='train a small model on drawn scenes and show what it sees',
        description='Draw a data set of scenes, train a small model on it, evaluate it and draw what it sees.',
        epilog='Exit status: 0 if the model has learned the scenes, 1 if not.',
    )
    demo.add_argument('--out', metavar='DIR', type=Path, default=Path('demo'), help='default: %(default)s')
    demo.add_argument('--seed', type=int, default=0, help='of scenes, initial weights and order (default: %(default)s)')
    demo.add_argument(
        '--iterations', type=int, default=ITERATIONS, help='number of training steps (default: %(default)s)'
    )
    return parser


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', metavar='CONFIG', help='name as `ls` prints it, or a file of your own')
