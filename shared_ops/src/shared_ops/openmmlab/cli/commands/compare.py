"""``compare``: what several models see on a picture."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ...zoo.configs import Configs
from .model_options import add_model_options, check_model_options, load_segmenter

if TYPE_CHECKING:
    from ..compare import Candidate


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of ``compare``."""
    compare = commands.add_parser(
        'compare',
        help='show on one sheet what several models see on a picture',
        description='Write a sheet with a picture, what every model sees on it and how long that takes, where they '
        'disagree, and a legend for all. The models have the same classes.',
    )
    compare.add_argument('picture', metavar='PICTURE', type=Path, help='image file')
    compare.add_argument(
        'models',
        metavar='CONFIG[=CHECKPOINT]',
        nargs='+',
        help='name as `ls` prints it, or a file of your own, such as a config of another package by its path; with '
        'its weights, if not the published ones',
    )
    compare.add_argument('--out', metavar='FILE.png', type=Path, required=True, help='the sheet')
    compare.add_argument(
        '--labels',
        metavar='FILE',
        type=Path,
        help="the picture's annotation, as the data set has it: shown, and the models measured by it",
    )
    add_model_options(compare)
    compare.set_defaults(run=_compare)


def _compare(options: argparse.Namespace, configs: Configs) -> int:
    models = [model.partition('=') for model in options.models]
    for config, _, _ in models:
        configs.find(config)
    from ..compare import compare

    check_model_options(options)
    count = Counter(config for config, _, _ in models)
    candidates = [
        _candidate(options, configs, config, checkpoint or None, clear=count[config] == 1)
        for config, _, checkpoint in models
    ]
    return compare(options.picture, candidates, options.out, labels=options.labels)


def _candidate(
    options: argparse.Namespace, configs: Configs, config: str, checkpoint: str | None, clear: bool
) -> Candidate:
    from mmengine.config import Config

    from ..compare import Candidate

    path = configs.find(config)
    name = path.stem if clear else f'{path.stem} ({Path(checkpoint).stem if checkpoint else "published"})'
    content = Config.fromfile(path)
    content.merge_from_dict(options.cfg_options)
    return Candidate(name, content, lambda: load_segmenter(options, configs, config, checkpoint))
