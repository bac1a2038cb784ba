"""One case: who takes part, who is right, and how long each takes, side by side."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from accuracy import Gate, Verdict
from implementations import Bound, Implementation
from memory import available, peak, plain_need
from shapes import Case
from summary import OURS
from tensors import Precision, Tensors, draw
from timing import Settings, compete

DIRECTIONS = ('forward', 'forward+backward')
# of the free memory; the rest is for inputs in several types, and for the system
USABLE = 0.7


@dataclass
class Record:
    """What is written to the JSON file.

    Attributes:
        times: one entry per case, batch, direction, implementation and precision, with the seconds of every round.
        skipped: what was not timed, and why.
        errors: the largest deviation from float64 of every implementation, by case and precision.
        memory: peak bytes.
        scaling: seconds with one thread and with more.
    """

    times: list[dict[str, object]] = field(default_factory=list)
    skipped: list[dict[str, object]] = field(default_factory=list)
    errors: list[dict[str, object]] = field(default_factory=list)
    memory: list[dict[str, object]] = field(default_factory=list)
    scaling: list[dict[str, object]] = field(default_factory=list)

    def skip(self, reason: str, **what: object) -> None:
        """Note once that something was not timed."""
        entry = {**what, 'reason': reason}
        if entry not in self.skipped:
            self.skipped.append(entry)


def call_of(bound: Bound, tensors: Tensors, direction: str) -> Callable[[], object]:
    """Return the call that is timed."""
    if direction == 'forward':
        return bound.infer
    shape = bound.infer().shape
    grad_output = tensors.grad_output.reshape(shape)
    return lambda: bound.differentiate(grad_output)


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
        self.admitted: list[tuple[Implementation, Precision]] = []
        able = [implementation for implementation in implementations if case.operator in implementation.operators]
        for precision in precisions:
            gate: Gate | None = None
            for implementation in able:
                reason = implementation.refuses(case, 1, precision, device)
                if reason:
                    record.skip(reason, implementation=implementation.name, precision=precision.name)
                    continue
                gate = gate or Gate(case, precision, device)
                if self._passes(gate.judge(implementation), implementation, precision):
                    self.admitted.append((implementation, precision))

    def _passes(self, verdict: Verdict, implementation: Implementation, precision: Precision) -> bool:
        what = {'case': self.case.name, 'implementation': implementation.name, 'precision': precision.name}
        self.record.errors.append(
            {**what, 'operator': self.case.operator, 'error': verdict.error, 'tensor': verdict.tensor,
             'tolerance': verdict.tolerance, 'passed': verdict.passed}
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

    def _fitting(self, batch: int, direction: str) -> Iterator[tuple[Implementation, Precision]]:
        free = available(self.device) * USABLE
        for implementation, precision in self.admitted:
            if batch > 1 and implementation.name != OURS and precision.name != 'float32':
                continue  # how others fare in half is asked for one image; it would take half of the time
            what = {'case': self.case.name, 'batch': batch, 'direction': direction,
                    'implementation': implementation.name, 'precision': precision.name}  # fmt: skip
            reason = implementation.refuses(self.case, batch, precision, self.device)
            need = plain_need(self.case, batch, precision, direction != 'forward')
            if implementation.name == 'plain PyTorch' and need > free:
                reason = f'needs about {need / 2**30:.0f} GiB, of which {free / 2**30:.0f} are free'
            if reason:
                self.record.skip(reason, **what)
            else:
                yield implementation, precision

    def run(self, batch: int, directions: list[str], settings: Settings) -> None:
        """Time everyone who is admitted, side by side."""
        drawn = draw(self.case, batch)
        tensors = {precision.name: drawn.to(precision, self.device) for precision in self.precisions}
        for direction in directions:
            entrants = list(self._fitting(batch, direction))
            calls = [
                call_of(implementation.bind(tensors[precision.name]), tensors[precision.name], direction)
                for implementation, precision in entrants
            ]
            for (implementation, precision), seconds in zip(entrants, compete(calls, self.device, settings)):
                self.record.times.append(
                    {'case': self.case.name, 'operator': self.case.operator, 'batch': batch, 'direction': direction,
                     'implementation': implementation.name, 'precision': precision.name,
                     'seconds': [float(f'{second:.4g}') for second in seconds]}
                )  # fmt: skip

    def measure_memory(self, directions: list[str]) -> None:
        """Note the peak memory of everyone who is admitted, for one image."""
        drawn = draw(self.case, 1)
        for direction in directions:
            for implementation, precision in self._fitting(1, direction):
                tensors = drawn.to(precision, self.device)
                call = call_of(implementation.bind(tensors), tensors, direction)
                self.record.memory.append(
                    {'case': self.case.name, 'operator': self.case.operator, 'direction': direction,
                     'implementation': implementation.name, 'precision': precision.name,
                     'bytes': peak(call, tensors, self.device)}
                )  # fmt: skip
