"""``ls`` and ``path``: which configs there are, and where."""

import argparse

from ...zoo.configs import Configs
from .config_argument import add_config


def add(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Add the parsers of ``ls`` and ``path``."""
    listing = commands.add_parser(
        'ls', help='list the configs, one a line', description='List the configs, one a line.'
    )
    listing.set_defaults(run=_list)
    path = commands.add_parser(
        'path', help='print where a config lies', description='Print the absolute path of a config.'
    )
    add_config(path)
    path.set_defaults(run=_print_path)


def _list(_: argparse.Namespace, configs: Configs) -> int:
    print('\n'.join(configs.names()))
    return 0


def _print_path(options: argparse.Namespace, configs: Configs) -> int:
    print(configs.find(options.config))
    return 0
