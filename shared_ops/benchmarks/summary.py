"""Ratios from the times of a results file: geometric mean and worst shape. Needs the standard library alone."""

import statistics
from collections import defaultdict
from dataclasses import dataclass

from results import Results

OURS = 'shared_ops'


@dataclass(frozen=True)
class Ratio:
    """How many times longer an opponent takes than we do, on one shape.

    Attributes:
        case: name of the shape.
        batch: N.
        median: over the rounds; above 1 we are faster.
        least: in the round that was worst for us.
    """

    case: str
    batch: int
    median: float
    least: float

    @property
    def shape(self) -> str:
        """The shape with its batch."""
        return f'{self.case}, batch {self.batch}'


@dataclass(frozen=True)
class Pairing:
    """Who is compared with whom: ours in ``precision`` and ``opponent`` in ``against``."""

    operator: str
    direction: str
    precision: str
    opponent: str
    against: str


def _ratio(case: str, batch: int, ours: list[float], theirs: list[float]) -> Ratio:
    rounds = [their / our for our, their in zip(ours, theirs)]
    return Ratio(case, batch, statistics.median(rounds), min(rounds))


def ratios(results: Results) -> dict[Pairing, list[Ratio]]:
    """Compare ours with every opponent in the same precision, and ours in half with ours in float32.

    Only times of the same round are compared, which lie seconds apart.
    """
    contests: dict[tuple[str, str, int, str], dict[tuple[str, str], list[float]]] = defaultdict(dict)
    for entry in results['times']:
        contest = contests[entry['operator'], entry['case'], entry['batch'], entry['direction']]
        contest[entry['implementation'], entry['precision']] = entry['seconds']
    found: dict[Pairing, list[Ratio]] = defaultdict(list)
    for (operator, case, batch, direction), entrants in contests.items():
        for (name, precision), seconds in entrants.items():
            ours = entrants.get((OURS, precision))
            if name != OURS and ours:
                pairing = Pairing(operator, direction, precision, name, precision)
                found[pairing].append(_ratio(case, batch, ours, seconds))
            elif name == OURS and precision != 'float32' and (OURS, 'float32') in entrants:
                pairing = Pairing(operator, direction, precision, OURS, 'float32')
                found[pairing].append(_ratio(case, batch, seconds, entrants[OURS, 'float32']))
    return dict(found)


def geometric_mean(values: list[float]) -> float:
    """Return the mean that treats twice as fast and twice as slow alike."""
    return statistics.geometric_mean(values)


def worst(found: list[Ratio]) -> Ratio:
    """Return the shape on which we do worst."""
    return min(found, key=lambda ratio: ratio.median)


def memory_ratios(results: Results) -> dict[tuple[str, str, str], list[tuple[str, float]]]:
    """Return for (operator, direction, precision) the share of float32's peak memory that ours needs, by case."""
    peaks = {
        (entry['operator'], entry['direction'], entry['case'], entry['precision']): entry['bytes']
        for entry in results['memory']
        if entry['implementation'] == OURS
    }
    found: dict[tuple[str, str, str], list[tuple[str, float]]] = defaultdict(list)
    for (operator, direction, case, precision), number in peaks.items():
        full = peaks.get((operator, direction, case, 'float32'))
        if precision != 'float32' and full:
            found[operator, direction, precision].append((case, number / full))
    return dict(found)
