"""``python -m PACKAGE``: parses the command line and runs one of the commands."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from ...errors import UserError
from ..memory import is_out_of_memory
from ..zoo.configs import Configs
from .commands import COMMANDS, tools


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
        if arguments and arguments[0] in tools.HELP:
            # all that follows belongs to MMSegmentation's tool, its --help included
            return tools.run(arguments[0], arguments[1:], configs)
        options = _parser(package, module.__version__).parse_args(arguments)
        status: int = options.run(options, configs)
        return status
    except KeyboardInterrupt:
        print(f'python -m {package}: interrupted', file=sys.stderr)
        return 130  # as shells count it
    except UserError as error:
        print(f'python -m {package}: error: {error}', file=sys.stderr)
        return 2
    except Exception as error:
        if not is_out_of_memory(error):
            print(
                f'python -m {package}: unexpected error. If your config and data are right, it is a bug of {package} '
                f'{module.__version__}: report it where you got {package}, with the trace below and what '
                f'`python -m shared_ops` prints.',
                file=sys.stderr,
            )
        raise


def _parser(package: str, version: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f'python -m {package}',
        epilog=f'`python -m {package} COMMAND --help` explains a command.',
    )
    parser.add_argument('--version', action='version', version=f'{package} {version}')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    for command in COMMANDS:
        command.add(commands)
    return parser
