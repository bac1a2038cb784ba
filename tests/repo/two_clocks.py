"""A host and a device, each with a clock of its own, behind the part of ``torch.cuda`` that the benchmarks time with.

What a call takes either is said by the test, so that it is known what a measurement has to find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

# Cycles in a second, and seconds of the host for whatever it enqueues.
CLOCK = 1.98e9
ENQUEUE = 5e-6
CACHE = 50 << 20


class TwoClocks:
    """The clocks, and what the device is doing.

    Attributes:
        host: seconds that the host's clock says.
        idle: when the device has done all that it was given.
        captured: device seconds of the calls of a capture that is under way, else ``None``.
        stream: name of the current stream.
    """

    def __init__(self) -> None:
        self.host = self.idle = 0.0
        self.captured: list[float] | None = None
        self.stream = 'default'

    def launch(self, host: float, device: float) -> None:
        """Let the host be busy, and the device after it."""
        self.host += host
        if self.captured is None:
            self.idle = max(self.idle, self.host) + device
        else:
            self.captured.append(device)

    def synchronize(self) -> None:
        """Let the host wait for the device, which a capture forbids."""
        if self.captured is not None:
            raise RuntimeError('operation not permitted when stream is capturing')
        self.host = max(self.host, self.idle)

    def torch(self) -> SimpleNamespace:
        """Return what stands in for the module."""
        clocks = self

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing

            def record(self) -> None:
                clocks.launch(ENQUEUE, 0.0)
                self.seconds = clocks.idle

            def elapsed_time(self, end: Event) -> float:
                assert clocks.host >= end.seconds, 'the host has to wait for an event'
                return (end.seconds - self.seconds) * 1e3

        class CUDAGraph:
            seconds: float | None = None

            def replay(self) -> None:
                assert self.seconds is not None, 'nothing was captured'
                clocks.launch(ENQUEUE, self.seconds)

        @contextmanager
        def graph(target: CUDAGraph) -> Iterator[None]:
            # PyTorch's, too, stays on its stream when a capture fails
            clocks.stream, clocks.captured = 'capture', []
            try:
                yield
            except RuntimeError:
                clocks.captured = None
                raise
            target.seconds, clocks.captured = sum(clocks.captured), None
            clocks.stream = 'default'

        @contextmanager
        def stream(name: str) -> Iterator[None]:
            before, clocks.stream = clocks.stream, name
            try:
                yield
            finally:
                clocks.stream = before

        cuda = SimpleNamespace(
            Event=Event,
            CUDAGraph=CUDAGraph,
            Stream=lambda: _Stream('side'),
            graph=graph,
            stream=stream,
            current_stream=lambda: clocks.stream,
            current_device=lambda: 0,
            get_device_properties=lambda device: SimpleNamespace(L2_cache_size=CACHE),
            synchronize=self.synchronize,
            _sleep=lambda cycles: clocks.launch(ENQUEUE, cycles / CLOCK),
        )
        return SimpleNamespace(cuda=cuda)

    def call(self, host: float, device: float) -> Callable[[], None]:
        """Return a call that takes both so many seconds."""
        return lambda: self.launch(host, device)


class _Stream(str):
    def wait_stream(self, other: str) -> None:
        """Begin after what the other one was given, as everything here does."""
