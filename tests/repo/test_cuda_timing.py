"""How the benchmarks tell the device's time from the host's, on a stand-in whose times are known."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from repo.two_clocks import CACHE, TwoClocks

BENCHMARKS = Path(__file__).parents[2] / 'shared_ops' / 'benchmarks'
# (host, device) of a call in seconds: the host behind, the device behind, both alike, and the host far behind
PACES = [(3e-4, 2e-5), (1e-5, 4e-4), (5e-5, 6e-5), (9e-3, 3e-5)]


@pytest.fixture
def clocks() -> TwoClocks:
    return TwoClocks()


@pytest.fixture
def cuda_timing(clocks: TwoClocks, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setitem(sys.modules, 'torch', clocks.torch())
    import cuda_timing

    monkeypatch.setattr(cuda_timing, 'time', SimpleNamespace(perf_counter=lambda: clocks.host))
    yield cuda_timing
    for name in ('cuda_timing', 'timing'):
        sys.modules.pop(name)


@pytest.mark.parametrize(('host', 'device'), PACES)
def test_a_graph_is_timed_by_the_device_alone(
    cuda_timing: ModuleType, clocks: TwoClocks, host: float, device: float
) -> None:
    entrant = cuda_timing.on_cuda([clocks.call(host, device * factor) for factor in (0.5, 1.0, 1.5)])
    assert entrant.way == 'graph'
    assert entrant.turn(12) == pytest.approx(device, rel=1e-6)
    assert entrant.host == pytest.approx(host)


@pytest.mark.parametrize(('host', 'device'), PACES)
def test_what_cannot_be_captured_is_enqueued_behind_a_sleep(
    cuda_timing: ModuleType, clocks: TwoClocks, host: float, device: float
) -> None:
    def call() -> None:
        if clocks.captured is not None:
            raise RuntimeError('operation not permitted when stream is capturing')
        clocks.launch(host, device)

    entrant = cuda_timing.on_cuda([call, call])
    assert entrant.way == 'sleep'
    assert clocks.stream == 'default', 'a capture that failed leaves no stream behind'
    assert entrant.turn(8) == pytest.approx(device, rel=1e-6)
    assert entrant.host == pytest.approx(host)


def test_a_call_that_waits_for_the_device_has_no_time_of_the_host(cuda_timing: ModuleType, clocks: TwoClocks) -> None:
    def call() -> None:
        clocks.launch(1e-5, 3e-4)
        clocks.synchronize()

    entrant = cuda_timing.on_cuda([call, call])
    assert (entrant.way, entrant.host) == ('sleep', None)
    assert entrant.turn(4) >= 3e-4


def test_copies_of_the_inputs_are_twice_the_cache(cuda_timing: ModuleType) -> None:
    sizes = (1, CACHE // 5, CACHE // 2 + 1, 3 * CACHE)
    assert [cuda_timing.copies_for(size) for size in sizes] == [32, 10, 4, 2]
