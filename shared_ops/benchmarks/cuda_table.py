"""What a GPU needed shape by shape, and how far that is from its ceilings. Needs the standard library alone."""

import statistics
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bounds import ITEMS, Ceilings, Least, least_time
from results import Results
from rows import OPERATORS, rows
from shapes import CASES, TINY
from summary import OURS, geometric_mean

HEAD = ['shape', 'batch', 'direction', 'type', 'device, us', 'host, us']
BOUND_HEAD = ['least by bytes, us', 'bound by', 'share', 'share without L1']


@dataclass(frozen=True)
class Distance:
    """How near one time of ours is to what the ceilings of its GPU allow.

    Attributes:
        entry: of the times in a results file.
        seconds: the median of its rounds.
        bound: the least time, or ``None`` where nothing was measured that gives one.
    """

    entry: dict[str, Any]
    seconds: float
    bound: Least | None

    @property
    def share(self) -> float:
        """The least time over the measured one; 1 is as fast as bytes allow."""
        assert self.bound is not None
        return self.bound.seconds / self.seconds


def distances(results: Results) -> Iterator[Distance]:
    """Look at every time of ours that is the device's."""
    ceilings = Ceilings(results['ceilings'])
    cases = CASES | TINY
    for entry in results['times']:
        if entry['implementation'] != OURS or 'timed' not in entry:
            continue
        least = None
        if ceilings and entry['case'] in cases and entry['precision'] in ITEMS:
            least = least_time(cases[entry['case']], entry['batch'], entry['direction'], entry['precision'], ceilings)
        yield Distance(entry, statistics.median(entry['seconds']), least)


def _microseconds(seconds: float | None) -> str:
    return '' if seconds is None else f'{seconds * 1e6:.0f}' if seconds >= 1e-4 else f'{seconds * 1e6:.1f}'


def shape_table(found: list[Distance]) -> str:
    """Return one row for every time of ours."""
    bounded = any(distance.bound for distance in found)
    body = []
    for distance in found:
        entry, least = distance.entry, distance.bound
        device = _microseconds(distance.seconds) + ('' if entry['timed'] == 'graph' else ' (not a graph)')
        direction = entry['direction'].replace('+', ' + ')
        row = [entry['case'], str(entry['batch']), direction, entry['precision'], device]
        row.append(_microseconds(entry['host_seconds']))
        if least:
            share, without_l1 = distance.share, least.without_l1 / distance.seconds
            row += [_microseconds(least.seconds), least.by, f'{share:.0%}', f'{without_l1:.0%}']
        elif bounded:
            row += [''] * len(BOUND_HEAD)
        body.append(row)
    return rows(HEAD + BOUND_HEAD if bounded else HEAD, body)


def share_table(found: list[Distance]) -> str:
    """Return the mean share of the ceilings and the worst shape, by operator, direction and type."""
    groups: dict[tuple[str, str, str], list[Distance]] = defaultdict(list)
    for distance in found:
        if distance.bound:
            entry = distance.entry
            groups[entry['operator'], entry['direction'], entry['precision']].append(distance)
    body = []
    for (operator, direction, precision), group in groups.items():
        least = min(group, key=lambda distance: distance.share)
        mean = geometric_mean([distance.share for distance in group])
        worst_shape = f'{least.share:.0%} ({least.entry["case"]}, batch {least.entry["batch"]})'
        direction = direction.replace('+', ' + ')
        body.append([OPERATORS[operator], direction, precision, f'{mean:.0%}', worst_shape, str(len(group))])
    head = ['operator', 'direction', 'type', 'share of what bytes allow', 'worst shape', 'shapes']
    return rows(head, body) if body else ''


def cuda_table(results: Results) -> str:
    """Return both tables, or nothing for what was measured on a CPU."""
    found = list(distances(results))
    return '\n\n'.join(filter(None, (share_table(found), shape_table(found)))) if found else ''
