"""What was compared with the original programs, config by config, read from the references that the tests use.

A column of the table of configs is filled by the files of ``tests/<package>/reference`` alone: a mark says that the
original's numbers are there, and the tests of the package compare with all that are there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine import Config

TESTS = Path(__file__).parents[1]
# Columns: kind of reference. Those of the first dictionary are files of the configs' names, the others lists of cases.
OF_CONFIGS = {'keys': 'manifests', 'settings': 'configs', 'optimizer': 'optim'}
OF_CASES = {'forward': 'forward', 'training step': 'train', 'label map': 'endtoend'}
# The READMEs say what they mean, above the table.
THIS, SMALLER, ALIKE, NONE = '●', '◐', '○', ''
# Of what an original was given beside its config, these leave the size of the model alone.
_NOT_OF_SIZE = ('drop', 'test_cfg', 'with_cp', 'window')


@dataclass(frozen=True)
class Case:
    """A computation of an original program.

    Args:
        config: ``<data set>/<name>``.
        smaller: whether the model was made smaller for it.
    """

    config: str
    smaller: bool


def cases_of(package: str, kind: str) -> list[Case]:
    """Return the cases of one kind ('forward', 'train', 'endtoend')."""
    path = TESTS / package / 'reference' / kind / 'cases.json'
    if not path.is_file():
        return []
    return [
        Case(case['config'].removesuffix('.py'), any(map(_changes_size, case.get('overrides') or {})))
        for case in json.loads(path.read_text(encoding='utf-8'))
    ]


def _changes_size(key: str) -> bool:
    return not any(word in key for word in _NOT_OF_SIZE)


def family(config: Config) -> tuple[Any, ...]:
    """Return what two models have in common that differ in size, data set or weights only."""
    backbone = config.model.backbone
    switches = tuple(sorted(key for key, value in backbone.items() if value is True and key != 'with_cp'))
    words = tuple(sorted((key, value) for key, value in backbone.items() if isinstance(value, str)))
    return (switches, words, config.model.decode_head.type)


def marks(package: str, name: str, families: dict[str, tuple[Any, ...]]) -> dict[str, str]:
    """Return the mark of every column for one config.

    Args:
        package: import name.
        name: ``<data set>/<name>`` of the config.
        families: of all configs of the package, by such names.
    """
    folder = TESTS / package / 'reference'
    found = {
        column: THIS if (folder / kind / f'{name.replace("/", "__")}.json.gz').is_file() else NONE
        for column, kind in OF_CONFIGS.items()
    }
    for column, kind in OF_CASES.items():
        cases = cases_of(package, kind)
        own = [case for case in cases if case.config == name]
        if own:
            found[column] = SMALLER if all(case.smaller for case in own) else THIS
        else:
            found[column] = ALIKE if any(families[case.config] == families[name] for case in cases) else NONE
    return found
