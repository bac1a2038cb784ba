"""Reads what runs on one card left. Needs the standard library alone."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / 'shared_ops' / 'benchmarks'
sys.path.append(str(BENCHMARKS))

from results import Results, read_results  # noqa: E402  # of the benchmarks

Entry = dict[str, Any]
OTHER_ORDER = 'other_order'


@dataclass(frozen=True)
class Found:
    """The results of one card, gathered from a folder and its subfolders, so that halves may lie apart.

    Attributes:
        machines: one for every half that was run.
        stages: how each ended.
        tests: outcomes, in the order in which they came.
        models: checks of whole models.
        timings: of the benchmark, with the ceilings.
        other_order: the same of the library that does its work in the other order.
        counters: what the profiler counted, one row for every kernel.
    """

    machines: list[Entry]
    stages: list[Entry]
    tests: list[Entry]
    models: list[Entry]
    timings: Results
    other_order: Results
    counters: list[dict[str, str]]


def read_found(folder: Path) -> Found:
    """Read all results files under a folder.

    Raises:
        ValueError: it has none.
    """
    lines = _lines(folder, 'stages.jsonl')
    if not lines:
        raise ValueError(f'{folder} and its subfolders have no stages.jsonl: name the folder that a run wrote to')
    timings = sorted(folder.rglob('cuda.jsonl')) + sorted(folder.rglob('cpu.jsonl'))
    usual = [path for path in timings if path.parent.name != OTHER_ORDER]
    return Found(
        machines=[line['machine'] for line in lines if 'machine' in line],
        stages=[line for line in lines if 'stage' in line],
        tests=_lines(folder, 'tests.jsonl'),
        models=_lines(folder, 'models.jsonl'),
        timings=read_results(*usual, *sorted(folder.rglob('ceilings.jsonl'))),
        other_order=read_results(*(path for path in timings if path not in usual)),
        counters=[row for path in sorted(folder.rglob('counters.csv')) for row in _counters(path)],
    )


def _lines(folder: Path, name: str) -> list[Entry]:
    """Return the lines of all files of a name, but for half a line that a run that was killed may have left."""
    found = []
    for path in sorted(folder.rglob(name)):
        *lines, _ = path.read_text(encoding='utf-8').split('\n')
        found += map(json.loads, lines)
    return found


def _counters(path: Path) -> list[dict[str, str]]:
    """Return the rows of the profiler's table, without what it says between them and without the row of units."""
    lines = [line for line in path.read_text(encoding='utf-8').splitlines() if line.startswith('"')]
    return [row for row in csv.DictReader(lines) if row['ID']]
