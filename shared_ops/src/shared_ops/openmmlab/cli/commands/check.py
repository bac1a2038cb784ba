"""``check``: whether the data of a config can be learnt."""

import argparse
from pathlib import Path
from typing import Any

from ...zoo.configs import Configs
from .config_argument import add_config


def add(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Add the parser of ``check``."""
    check = commands.add_parser(
        'check',
        help="look through a config's pictures and label maps before training",
        description='Read every label map that a config trains and validates on: has each picture one, of its size, '
        'and are all values classes? Prints how much of the pictures each class covers.',
        epilog='Exit status: 0 if the data is fine, 1 if it has to be mended.',
    )
    add_config(check)
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace, configs: Configs) -> int:
    return report(configs.find(options.config))


def report(file: Path) -> int:
    """Look through the data of a config and print what was found.

    Returns:
        1 if something has to be mended, else 0.
    """
    from mmengine.config import Config
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from ...inference.classes import dataset_meta
    from ...own_data.labels import check_config

    console = Console(highlight=False)
    config = Config.fromfile(file)

    def progress(samples: list[dict[str, Any]]) -> Any:
        return track(samples, 'reading label maps', console=Console(stderr=True), transient=True)

    reports = check_config(config, progress)
    number = len(reports[0].pixels)
    names = list(dataset_meta(config).get('classes') or range(number))[:number]
    table = Table('value', 'class', title='share of the pixels that count (%)')
    for each in reports:
        table.add_column(each.loader.removesuffix('_dataloader'), justify='right')
    for index, name in enumerate(names):
        shares = [each.pixels[index] / max(1, each.pixels.sum()) for each in reports]
        table.add_row(str(index), str(name), *(f'{100 * share:.2f}' if share else 'none' for share in shares))
    console.print(table)
    for each in reports:
        total = max(1, each.pixels.sum() + each.ignored)
        console.print(
            f'{each.loader}: {each.pictures} pictures in {each.folder}, {100 * each.ignored / total:.1f} % of their '
            f'pixels ignored',
            soft_wrap=True,
            markup=False,
        )
    for each in reports:
        for problem in each.problems:
            console.print(f'\nTo be mended in {each.folder}:\n{problem}', soft_wrap=True, markup=False)
    return int(any(each.problems for each in reports))
