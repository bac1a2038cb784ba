"""The results file: JSON lines, one record each, written as soon as there is something to say.

Every line is an object whose ``record`` says what it is:

``machine``   on what was measured, once
``absent``    an implementation that cannot run here, and the reason
``errors``    the largest deviation of an implementation from float64, and whether it passed
``times``     seconds of a call in every round; on a GPU also how it was timed (``graph`` or ``sleep``), over how many
              copies of its inputs, and the seconds of the host or null
``memory``    peak bytes of a call
``scaling``   seconds with one thread and with several
``skipped``   what was not measured, and the reason
``ceilings``  bytes per second of a GPU for one operation and footprint, from ``ceilings.cu``

Needs the standard library alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

Results = dict[str, Any]
LISTS = ('absent', 'times', 'errors', 'memory', 'scaling', 'skipped', 'ceilings')


def _empty() -> Results:
    return {'machine': {}, **{name: [] for name in LISTS}}


def _put(results: Results, record: str, entry: dict[str, Any]) -> None:
    if record == 'machine':
        results['machine'] = entry
    else:
        results[record].append(entry)


def read_results(*paths: Path) -> Results:
    """Return what one run wrote, over all its files: the machine, and a list of everything else by its name.

    A run that was killed may have left half a line at the end, which does not count.

    Raises:
        ValueError: a line is no record.
    """
    results = _empty()
    for path in paths:
        *lines, _ = path.read_text(encoding='utf-8').split('\n')
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                _put(results, entry.pop('record'), entry)
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise ValueError(
                    f'{path}, line {number}: not an object whose "record" is machine, {", ".join(LISTS)}: {line[:80]}'
                ) from error
    return results


def rounded(seconds: list[float]) -> list[float]:
    """Return seconds as they are written."""
    return [float(f'{second:.4g}') for second in seconds]


class Record:
    """What a run found so far, in memory and in its file.

    Attributes:
        results: as :func:`read_results` returns it.
    """

    def __init__(self, file: TextIO) -> None:
        self.results = _empty()
        self._file = file

    def add(self, record: str, **entry: object) -> None:
        """Write one line, which is in the file when this returns."""
        _put(self.results, record, entry)
        self._file.write(json.dumps({'record': record, **entry}) + '\n')
        self._file.flush()

    def skip(self, reason: str, **what: object) -> None:
        """Note once that something was not timed."""
        entry = {**what, 'reason': reason}
        if entry not in self.results['skipped']:
            self.add('skipped', **entry)
