"""Turns on a GPU: the device's time of a call and, apart from it, the host's.

A call takes the host 50 to 700 microseconds, and many kernels take the device less. Events around such a call would
measure the host. So the calls of an entrant, each with a copy of the inputs of its own, are captured into a CUDA graph,
and turns replay it; what cannot be captured, because it waits for the device or copies from it, is enqueued while the
device sleeps. The copies together are larger than the L2 cache, so that no call finds its inputs there.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch
from timing import Call, Turn

# Copies of the inputs: of their bytes as many as fill the L2 cache this many times; two at least, since a cache is not
# emptied in order, and not more than a graph is quickly made of.
FILLED = 2.0
COPIES = (2, 32)
# More than any GPU's clock makes in a second, so that a sleep is never shorter than it was meant to be.
CYCLES = 2.5e9
# What the host needs to enqueue events and graphs, with room.
HEAD_START = 2e-4
# Of the host: the median of at most so many calls counts, which together fit into the device's queue, and seconds that
# the device sleeps meanwhile.
HOST_CALLS = 8
HOST_SLEEP = 0.04

GRAPH, SLEEP = 'graph', 'sleep'


@dataclass(frozen=True)
class Entrant:
    """How one entrant is timed.

    Attributes:
        turn: for :func:`timing.compete`.
        way: ``'graph'``, or ``'sleep'`` where the calls cannot be captured.
        host: seconds of the host per call, or ``None`` where a call waits for the device.
    """

    turn: Turn
    way: str
    host: float | None


def copies_for(nbytes: int) -> int:
    """Return how many copies of inputs of so many bytes a graph needs."""
    cache = torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size
    least, most = COPIES
    return max(least, min(most, -int(-FILLED * cache // max(nbytes, 1))))


def _sleep(seconds: float) -> None:
    torch.cuda._sleep(int(seconds * CYCLES))


def _elapsed(enqueue: Call, head_start: float) -> float:
    """Return the device's seconds for what ``enqueue`` gives it, which begins after a sleep of ``head_start``."""
    event: Any = torch.cuda.Event  # whose constructor has no types
    start, end = event(enable_timing=True), event(enable_timing=True)
    _sleep(head_start)
    start.record()
    enqueue()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def _call_all(calls: list[Call]) -> None:
    for call in calls:
        call()


def _captured(calls: list[Call]) -> Turn:
    """Return the turn that replays a graph of all calls.

    Raises:
        RuntimeError: they cannot be captured.
    """
    graph = torch.cuda.CUDAGraph()
    results = []  # kept while capturing, or all calls would write to the same memory
    # a capture that fails leaves its own stream current
    with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph):
        for call in calls:
            results.append(call())

    def turn(repeats: int) -> float:
        replays = max(1, round(repeats / len(calls)))
        return _elapsed(lambda: _call_all([graph.replay] * replays), HEAD_START) / (replays * len(calls))

    return turn


def _asleep(calls: list[Call], host: float) -> Turn:
    """Return the turn that enqueues all calls while the device sleeps."""
    head_start = HEAD_START + 2 * host * len(calls)

    def turn(repeats: int) -> float:
        times = max(1, round(repeats / len(calls)))
        seconds = [_elapsed(lambda: _call_all(calls), head_start) for _ in range(times)]
        return statistics.median(seconds) / len(calls)

    return turn


def host_seconds(call: Call) -> float | None:
    """Return the seconds that the host is busy with a call while the device has other things to do.

    Returns:
        The median of several calls, or ``None`` where it took as long as the device was busy: it waits for that.
    """
    torch.cuda.synchronize()
    _sleep(HOST_SLEEP)
    seconds: list[float] = []
    while len(seconds) < HOST_CALLS and sum(seconds) < HOST_SLEEP / 2:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    torch.cuda.synchronize()
    return statistics.median(seconds) if sum(seconds) < HOST_SLEEP else None


def on_cuda(calls: list[Call]) -> Entrant:
    """Prepare an entrant: warm up, measure its host time, capture its calls.

    Args:
        calls: the same call on copies of its inputs.
    """
    side: Any = torch.cuda.Stream()  # as PyTorch asks for before a capture
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        _call_all(calls)
        calls[0]()
    torch.cuda.synchronize()
    host = host_seconds(calls[0])
    if host is None:  # no need to try: PyTorch is not itself after a capture that failed
        return Entrant(_asleep(calls, HOST_SLEEP / HOST_CALLS), SLEEP, None)
    try:
        return Entrant(_captured(calls), GRAPH, host)
    except RuntimeError:
        # whatever the reason is, it comes again where it is not the capture
        torch.cuda.synchronize()
        return Entrant(_asleep(calls, host), SLEEP, host)
