"""The least time that bytes allow a call on a GPU, from ceilings that were measured on it.

Whatever a kernel does, a call has to

- read the four corners of every point into registers, forward and backward: ``corners`` bytes, 4 * interpolations *
  (bytes of a number of the data), bound by what the L1 caches deliver;
- read its inputs and write its results once: ``memory`` bytes, bound by DRAM. Forward these are value, points and
  output, backward value, points and the gradient of the output, and the gradients of value and points;
- backward, add to the gradient at every corner: ``sums`` bytes, 4 * interpolations * 4 for sums in float32, bound by
  the L2 cache's reductions (RED) at random rows of a map of that size.

The three overlap at best, so the largest counts; forward and backward follow each other. A kernel that sums without
atomics may beat the third. Where no corner is found in L1, the L2 cache bounds the first. Needs the standard library
alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from shapes import AttentionCase, Case

# Bytes of a number of the data and of the points, by the name of the precision; RED has no float64 ceiling here.
ITEMS = {
    'float32': (4, 4),
    'bfloat16': (2, 2),
    'float16': (2, 2),
    'bfloat16-points32': (2, 4),
    'float16-points32': (2, 4),
}
SUM = 4  # bytes of a float32
L1, L2, RED, DRAM = 'L1 read', 'L2 read', 'RED', 'DRAM copy'
# What ceilings.cu calls the reductions in float32, of which the faster one counts.
REDUCTIONS = ('RED f32', 'RED v4.f32')


@dataclass(frozen=True)
class Traffic:
    """Bytes that a forward or a backward cannot avoid.

    Attributes:
        corners: read into registers.
        memory: between DRAM and the chip.
        sums: added to the gradient of the value or input.
    """

    corners: int
    memory: int
    sums: int = 0


@dataclass(frozen=True)
class Sizes:
    """How many numbers the tensors of a case have: value or input, points (places and weights), output."""

    value: int
    points: int
    output: int


def sizes(case: Case, batch: int) -> Sizes:
    """Count the numbers of a case's tensors."""
    if isinstance(case, AttentionCase):
        queries, positions = (sum(height * width for height, width in maps) for maps in (case.queries, case.levels))
        channels = case.heads * case.channels
        points = queries * case.heads * len(case.levels) * case.points
        return Sizes(batch * positions * channels, batch * points * 3, batch * queries * channels)
    height, width = case.size
    groups = batch * height * width * case.groups
    points = groups * case.kernel[0] * case.kernel[1]
    return Sizes(groups * case.channels, points * 3, groups * case.channels)


def traffic(case: Case, batch: int, precision: str) -> tuple[Traffic, Traffic]:
    """Return what forward and backward cannot avoid, each."""
    data, points = ITEMS[precision]
    size = sizes(case, batch)
    interpolations = case.interpolations * batch
    corners = 4 * interpolations * data
    forward = Traffic(corners, (size.value + size.output) * data + size.points * points)
    memory = (2 * size.value + size.output) * data + 2 * size.points * points
    return forward, Traffic(corners, memory, 4 * interpolations * SUM)


class Ceilings:
    """Bytes per second, as ``ceilings.cu`` measured them.

    Args:
        entries: its lines.
    """

    def __init__(self, entries: Iterable[dict[str, Any]]) -> None:
        self._found: dict[str, list[tuple[int, float]]] = {}
        for entry in entries:
            name = RED if entry['operation'] in REDUCTIONS else entry['operation']
            self._found.setdefault(name, []).append((entry['footprint'], entry['bytes_per_second']))

    def __bool__(self) -> bool:
        """Say whether everything is there that a bound needs."""
        return {L1, L2, RED, DRAM} <= self._found.keys()

    def at(self, name: str, footprint: int = 0) -> float:
        """Return the fastest that was measured at the footprint nearest to so many bytes."""
        found = self._found[name]
        nearest = min((abs(math.log(max(size, 1) / max(footprint, 1))), size) for size, _ in found)[1]
        return max(speed for size, speed in found if size == nearest)


@dataclass(frozen=True)
class Least:
    """The least seconds of a call.

    Attributes:
        seconds: in all.
        by: what bounds the longest part of it.
        without_l1: seconds if every corner came from the L2 cache.
    """

    seconds: float
    by: str
    without_l1: float


def least_time(case: Case, batch: int, direction: str, precision: str, ceilings: Ceilings) -> Least:
    """Return the least seconds that bytes allow."""
    footprint = sizes(case, batch).value
    parts = traffic(case, batch, precision)[: 1 if direction == 'forward' else 2]
    longest, seconds, without_l1 = (0.0, ''), 0.0, 0.0
    for part in parts:
        others = [(part.memory / ceilings.at(DRAM), DRAM)]
        if part.sums:
            others.append((part.sums / ceilings.at(RED, footprint * SUM), RED))
        slowest = max([(part.corners / ceilings.at(L1), L1), *others])
        longest = max(longest, slowest)
        seconds += slowest[0]
        from_l2 = part.corners / ceilings.at(L2, footprint * ITEMS[precision][0])
        without_l1 += max(from_l2, *(second for second, _ in others))
    return Least(seconds, longest[1], without_l1)
