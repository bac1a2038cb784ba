"""Interleaved timing: in every round each entrant has a turn, so what disturbs the machine disturbs all alike.

A turn is several calls, of which the median counts: a call that was interrupted does not.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

Call = Callable[[], object]
# Written before every call on a GPU, so that none finds its inputs in the L2 cache, which is smaller (50 MB on H100).
FLUSHED_BYTES = 256 << 20


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


QUICK = Settings(turn=0.001, rounds=3, least_rounds=3, seconds=1.0)


class _Cpu:
    def time(self, call: Call, repeats: int) -> float:
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)


class _Cuda:
    def __init__(self) -> None:
        self._flushed = torch.empty(FLUSHED_BYTES, dtype=torch.uint8, device='cuda')

    def _event(self) -> Any:
        event: Any = torch.cuda.Event  # whose constructor has no types
        return event(enable_timing=True)

    def time(self, call: Call, repeats: int) -> float:
        pairs = []
        for _ in range(repeats):
            self._flushed.zero_()
            start, end = self._event(), self._event()
            start.record()
            call()
            end.record()
            pairs.append((start, end))
        torch.cuda.synchronize()
        return statistics.median(start.elapsed_time(end) for start, end in pairs) / 1e3


def compete(calls: list[Call], device: str, settings: Settings) -> list[list[float]]:
    """Time ``calls`` side by side.

    Returns:
        For every call its seconds, a number for every round.
    """
    clock = _Cuda() if device == 'cuda' else _Cpu()
    begin = time.perf_counter()
    repeats = []
    for call in calls:
        seconds_once = clock.time(call, 1)  # which also allocates what is kept from call to call
        if seconds_once < 10 * settings.turn:
            seconds_once = clock.time(call, 1)
        repeats.append(max(1, min(1000, round(settings.turn / max(seconds_once, 1e-7)))))
    seconds: list[list[float]] = [[] for _ in calls]
    for turn in range(settings.rounds):
        if turn >= settings.least_rounds and time.perf_counter() - begin > settings.seconds:
            break
        for index in range(len(calls)):
            chosen = (index + turn) % len(calls)  # who goes first changes from round to round
            seconds[chosen].append(clock.time(calls[chosen], repeats[chosen]))
    return seconds
