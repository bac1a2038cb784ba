"""The argument that most commands begin with."""

import argparse


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add ``CONFIG``, which :meth:`~shared_ops.openmmlab.zoo.configs.Configs.find` looks up."""
    parser.add_argument('config', metavar='CONFIG', help='name as `ls` prints it, or a file of your own')
