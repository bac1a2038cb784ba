"""``train`` and ``test``, whose arguments are those of MMSegmentation's tools."""

import argparse
from collections.abc import Sequence

from ...zoo.configs import Configs

HELP = {
    'train': "train a config found by name, with the options of MMSegmentation's tools/train.py",
    'test': "evaluate a checkpoint, with the options of MMSegmentation's tools/test.py",
}


def add(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Add ``train`` and ``test`` to the help text; :func:`run` runs them."""
    for name, help_text in HELP.items():
        commands.add_parser(name, help=help_text)


def run(command: str, arguments: Sequence[str], configs: Configs) -> int:
    """Run a tool with all that follows its name, ``--help`` included."""
    from ..tools import run_tool

    return run_tool(command, arguments, configs)
