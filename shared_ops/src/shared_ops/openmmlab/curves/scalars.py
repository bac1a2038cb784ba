"""What a training logged, read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import InputError, MissingFileError


@dataclass(frozen=True)
class Series:
    """A quantity over the iterations.

    Attributes:
        steps: iterations, ascending.
        values: one for every step.
    """

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Run:
    """What was logged of a training, resumed or not.

    Attributes:
        name: of its folder.
        loss: the sum of all losses.
        learning_rate: the optimizer's, which its groups of parameters multiply; where it was not logged, the first
            group's.
        scores: by name, such as ``'mIoU'``, in percent.
    """

    name: str
    loss: Series
    learning_rate: Series
    scores: dict[str, Series]


def read_run(folder: Path) -> Run:
    """Read the log of a training from its work folder, ``scalars.json`` of MMEngine's visualizer.

    A training that was resumed has a folder for each part; what a later part did again counts. Lines that were cut
    off are left out.

    Args:
        folder: the work folder.

    Raises:
        FileNotFoundError: there is no log in it.
        ValueError: the log holds no training.
    """
    files = sorted(folder.glob('*/vis_data/scalars.json')) or sorted(folder.glob('vis_data/scalars.json'))
    if not files:
        raise MissingFileError(
            f'{folder} holds no log of a training (TIME/vis_data/scalars.json); name the folder that training wrote '
            f'into, such as work_dirs/my_config'
        )
    training: dict[int, dict[str, Any]] = {}
    validation: dict[int, dict[str, Any]] = {}
    for file in files:
        records = list(_records(file))
        first = min((int(record['step']) for record in records if 'loss' in record), default=None)
        if first is not None:
            # what a part logged after the checkpoint from which the next one went on was done again
            training = {step: record for step, record in training.items() if step < first}
            validation = {step: record for step, record in validation.items() if step < first}
        for record in records:
            # validations carry no loss; their step is the iteration after which they came
            (training if 'loss' in record else validation)[int(record['step'])] = record
    if not training:
        raise InputError(f'{files[-1]} holds no losses yet; MMEngine logs every 50 iterations (default_hooks.logger)')
    names = dict.fromkeys(key for record in validation.values() for key in record if key.startswith('m'))
    return Run(
        name=folder.resolve().name,
        loss=_series(training, 'loss'),
        learning_rate=_series(training, 'base_lr' if 'base_lr' in next(iter(training.values())) else 'lr'),
        scores={name: _series(validation, name) for name in names},
    )


def _records(file: Path) -> Iterator[dict[str, Any]]:
    for line in file.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # the process ended while it was written
            continue
        if isinstance(record, dict) and isinstance(record.get('step'), int):
            yield record


def _series(records: dict[int, dict[str, Any]], name: str) -> Series:
    found = {
        step: record[name] for step, record in sorted(records.items()) if isinstance(record.get(name), int | float)
    }
    return Series(list(found), [float(value) for value in found.values()])
