"""Interleaved timing: in every round each entrant has a turn, so what disturbs the machine disturbs all alike.

A turn is several calls. On the CPU their median counts: a call that was interrupted does not. What a turn is on a GPU
says ``cuda_timing.py``.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

Call = Callable[[], object]
# Makes about so many calls, and returns the seconds of one.
Turn = Callable[[int], float]


@dataclass(frozen=True)
class Settings:
    """How long to measure.

    Attributes:
        turn: seconds that a turn takes at least; fast calls are repeated.
        rounds: how many turns everyone has, at most.
        least_rounds: how many even where ``seconds`` are over.
        seconds: after so many, no further round starts.
    """

    turn: float = 0.02
    rounds: int = 9
    least_rounds: int = 3
    seconds: float = 3.0


# A graph is replayed without anything that disturbs it.
ON_CUDA = Settings(turn=0.01, rounds=7)
QUICK = Settings(turn=0.001, rounds=3, least_rounds=3, seconds=1.0)


def on_cpu(call: Call) -> Turn:
    """Return the turn of a call that is over when it returns."""

    def turn(repeats: int) -> float:
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)

    return turn


def compete(turns: list[Turn], settings: Settings) -> list[list[float]]:
    """Time entrants side by side.

    Returns:
        For every entrant the seconds of a call, a number for every round.
    """
    begin = time.perf_counter()
    repeats = []
    for turn in turns:
        seconds_once = turn(1)  # which also allocates what is kept from call to call
        if seconds_once < 10 * settings.turn:
            seconds_once = turn(1)
        repeats.append(max(1, min(1000, round(settings.turn / max(seconds_once, 1e-7)))))
    seconds: list[list[float]] = [[] for _ in turns]
    for number in range(settings.rounds):
        if number >= settings.least_rounds and time.perf_counter() - begin > settings.seconds:
            break
        for index in range(len(turns)):
            chosen = (index + number) % len(turns)  # who goes first changes from round to round
            seconds[chosen].append(turns[chosen](repeats[chosen]))
    return seconds
