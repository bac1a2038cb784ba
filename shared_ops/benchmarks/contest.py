"""One case: who takes part, who is right, and how long each takes, side by side."""

from collections.abc import Callable, Iterator

from accuracy import Gate, Verdict
from cuda_timing import copies_for, on_cuda
from implementations import Bound, Implementation
from memory import available, peak, plain_need
from results import Record, rounded
from shapes import Case
from summary import OURS
from tensors import Precision, Tensors, draw
from timing import Settings, Turn, compete, on_cpu

DIRECTIONS = ('forward', 'forward+backward')
# of the free memory; the rest is for inputs in several types, and for the system
USABLE = 0.7

# how the reason of what raised an error begins
FAILS = 'fails: '

Entrant = tuple[Implementation, Precision]


def call_of(bound: Bound, tensors: Tensors, direction: str) -> Callable[[], object]:
    """Return the call that is timed."""
    if direction == 'forward':
        return bound.infer
    shape = bound.infer().shape
    grad_output = tensors.grad_output.reshape(shape)
    return lambda: bound.differentiate(grad_output)


def _reason(error: Exception) -> str:
    """Say in one line what an implementation failed with."""
    return f'{FAILS}{type(error).__name__}: {error}'.split('\n')[0][:300]


class Contest:
    """One case on one device.

    Args:
        case: the case.
        implementations: who takes part.
        precisions: in which types.
        device: ``'cpu'`` or ``'cuda'``.
        record: where everything is noted.
    """

    def __init__(
        self,
        case: Case,
        implementations: list[Implementation],
        precisions: list[Precision],
        device: str,
        record: Record,
    ) -> None:
        self.case, self.device, self.record = case, device, record
        self.precisions = precisions
        self.admitted: list[Entrant] = []
        able = [implementation for implementation in implementations if case.operator in implementation.operators]
        for precision in precisions:
            gate: Gate | None = None
            for implementation in able:
                reason = implementation.refuses(case, 1, precision, device)
                if reason:
                    record.skip(reason, implementation=implementation.name, precision=precision.name)
                    continue
                gate = gate or Gate(case, precision, device)
                try:
                    verdict = gate.judge(implementation)
                except Exception as error:  # of a library of others, in which anything may go wrong
                    record.skip(_reason(error), **self._what(implementation, precision))
                    continue
                if self._passes(verdict, implementation, precision):
                    self.admitted.append((implementation, precision))

    def _what(self, implementation: Implementation, precision: Precision) -> dict[str, str]:
        return {'case': self.case.name, 'implementation': implementation.name, 'precision': precision.name}

    def _passes(self, verdict: Verdict, implementation: Implementation, precision: Precision) -> bool:
        what = self._what(implementation, precision)
        self.record.add(
            'errors', **what, operator=self.case.operator, error=verdict.error, tensor=verdict.tensor,
            tolerance=verdict.tolerance, passed=verdict.passed,
        )  # fmt: skip
        if not verdict.passed:
            self.record.skip(
                f'inaccurate: the {verdict.tensor} deviates by {verdict.error:.1e} of its largest value from float64, '
                f'{verdict.tolerance:.1e} is allowed', **what,
            )  # fmt: skip
        return verdict.passed

    def admits(self, name: str) -> bool:
        """Say whether an implementation takes part in float32."""
        return any(i.name == name and precision.name == 'float32' for i, precision in self.admitted)

    def _fitting(self, batch: int, direction: str) -> Iterator[Entrant]:
        free = available(self.device) * USABLE
        for implementation, precision in self.admitted:
            if batch > 1 and implementation.name != OURS and precision.name != 'float32':
                continue  # how others fare in half is asked for one image; it would take half of the time
            reason = implementation.refuses(self.case, batch, precision, self.device)
            need = plain_need(self.case, batch, precision, direction != 'forward')
            if implementation.name == 'plain PyTorch' and need > free:
                reason = f'needs about {need / 2**30:.0f} GiB, of which {free / 2**30:.0f} are free'
            if reason:
                what = self._what(implementation, precision)
                self.record.skip(reason, batch=batch, direction=direction, **what)
            else:
                yield implementation, precision

    def run(self, drawn: Tensors, direction: str, settings: Settings) -> None:
        """Time everyone who is admitted, side by side, on one batch that was drawn."""
        batch = drawn.batch
        copies: dict[Precision, list[Tensors]] = {}
        turns: list[Turn] = []
        entries: list[dict[str, object]] = []
        for implementation, precision in self._fitting(batch, direction):
            if precision not in copies:
                first = drawn.to(precision)
                more = copies_for(first.nbytes()) - 1 if self.device == 'cuda' else 0
                copies[precision] = [first, *(drawn.to(precision) for _ in range(more))]
            entry: dict[str, object] = {
                'case': self.case.name, 'operator': self.case.operator, 'batch': batch, 'direction': direction,
                'implementation': implementation.name, 'precision': precision.name,
            }  # fmt: skip
            try:
                calls = [call_of(implementation.bind(one), one, direction) for one in copies[precision]]
                if self.device == 'cuda':
                    entrant = on_cuda(calls)
                    turns.append(entrant.turn)
                    entry.update(timed=entrant.way, copies=len(calls), host_seconds=entrant.host)
                else:
                    turns.append(on_cpu(calls[0]))
            except Exception as error:  # too little memory, for one
                what = self._what(implementation, precision)
                self.record.skip(_reason(error), batch=batch, direction=direction, **what)
                continue
            entries.append(entry)
        for entry, seconds in zip(entries, compete(turns, settings)):
            self.record.add('times', **entry, seconds=rounded(seconds))

    def measure_memory(self, directions: list[str]) -> None:
        """Note the peak memory of everyone who is admitted, for one image."""
        drawn = draw(self.case, 1, self.device)
        for direction in directions:
            for implementation, precision in self._fitting(1, direction):
                tensors = drawn.to(precision)
                call = call_of(implementation.bind(tensors), tensors, direction)
                self.record.add(
                    'memory', case=self.case.name, operator=self.case.operator, direction=direction,
                    implementation=implementation.name, precision=precision.name,
                    bytes=peak(call, tensors, self.device),
                )  # fmt: skip
