"""What the results of one card say, in Markdown. Needs the standard library alone."""

from __future__ import annotations

import shlex
import statistics
from collections import Counter
from pathlib import Path

from found import Entry, Found, read_found
from rows import rows  # of the benchmarks, as the next two
from summary import OURS
from table import absent, speed_table, tables

RESULTS = Path(__file__).parent / 'results'
UNTRIED = (
    'The CUDA kernels of `shared_ops` were compiled for compute capability 7.5 to 12 and pass their tests emulated on '
    'the CPU; no GPU has run them yet.'
)
TRIED = 'The CUDA kernels of `shared_ops` ran on {}, with the results that `shared_ops/README.md` shows.'
SECTOR = 32  # bytes that a cache moves at once
# Name of a counter, head of its column, what to multiply it with, digits.
COUNTERS = (
    ('gpu__time_duration.sum', 'us', 1e-3, 1),
    ('l1tex__t_sector_hit_rate.pct', 'L1 hits, %', 1, 0),
    ('lts__t_sectors_op_read.sum', 'L2 read, MB', SECTOR / 1e6, 0),
    ('lts__t_sectors_op_red.sum', 'RED, MB', SECTOR / 1e6, 0),
    ('dram__bytes.sum', 'DRAM, MB', 1e-6, 0),
    ('sm__inst_executed.avg.per_cycle_active', 'instructions per cycle', 1, 2),
    ('sm__warps_active.avg.pct_of_peak_sustained_active', 'warps, %', 1, 0),
)


def machine_line(found: Found) -> str:
    """Say on what, with what and when."""
    machine = found.machines[-1]
    if machine['device'] != 'cuda':
        return f'A dry run on a CPU; PyTorch {machine["torch"]}, {machine["date"][:10]}.'
    return f'{machine["gpu"]}, driver {machine["driver"]}; PyTorch {machine["torch"]}, {machine["date"][:10]}.'


def stage_table(found: Found) -> str:
    """Return how every stage ended, and how to do again what did not succeed."""
    body = [
        [stage['half'], stage['stage'], stage['ended'], f'{stage["seconds"]:g} of {stage["limit"]:g}']
        for stage in found.stages
    ]
    again = [f'{stage["stage"]}:\n    {stage["reproduce"]}' for stage in found.stages if stage['rc'] != 0]
    return '\n\n'.join([rows(['half', 'stage', 'it', 'seconds'], body), *again])


def test_lines(found: Found) -> str:
    """Count the outcomes; name what did not pass, with the last line of why and how to do it again."""
    counts = Counter(entry['outcome'] for entry in found.tests)
    lines = [f'Tests: {", ".join(f"{number} {outcome}" for outcome, number in counts.most_common()) or "none"}.']
    for entry in found.tests:
        if entry['outcome'] != 'passed':
            why = (entry.get('why') or '').splitlines()[-1:]
            lines += [f'{entry["outcome"]}: {" ".join(why)}', f'    python3 -m pytest {shlex.quote(entry["test"])}']
    return '\n'.join(lines)


def model_table(found: Found) -> str:
    """Return a row for every model and precision: how far its numbers are from the CPU's, time and memory."""
    runs: dict[tuple[str, str], dict[str, Entry]] = {}
    for entry in found.models:
        if 'distance' in entry or 'seconds' in entry:
            runs.setdefault((entry['model'], entry['precision']), {})[entry['check']] = entry
    body = []
    for (model, precision), checks in runs.items():
        if model == 'programs':
            continue
        gradients = [check['distance'] for name, check in checks.items() if name.startswith('gradient')]
        step = checks.get('time of a training step', {})
        numbers = [_distance(checks.get('scores')), _distance(checks.get('loss')), f'{max(gradients, default=0):.1g}']
        times = [_milliseconds(checks.get('time of a forward', {})), _milliseconds(step)]
        memory = f'{step["bytes"] / 2**30:.2f}' if 'bytes' in step else ''
        passed = 'yes' if all(check['passed'] for check in checks.values()) else 'no'
        body.append([model, precision, *numbers, *times, memory, passed])
    if not body:
        return ''
    head = ['model', 'type', 'scores', 'loss', 'worst gradient', 'forward, ms', 'step, ms', 'peak, GiB', 'passed']
    return rows(head, body)


def model_lines(found: Found) -> str:
    """Say what compiled and captured programs gave, and what failed."""
    lines = []
    for entry in found.models:
        if not entry['passed']:
            number = entry.get('error') or f'{entry.get("distance")}, allowed is {entry.get("allowed")}'
            lines.append(f'failed: {entry["model"]}, {entry.get("precision", "")}, {entry["check"]}: {number}')
        elif entry['model'] == 'programs':
            lines.append(f'{entry["check"]}: {entry["distance"]:.1g} from eager, allowed is {entry["allowed"]:g}')
    return '\n'.join(lines)


def order_table(found: Found) -> str:
    """Return how both orders of the work do on every shape that both were timed on."""
    usual, other = ({_contest(e): e['seconds'] for e in results['times'] if e['implementation'] == OURS}
                    for results in (found.timings, found.other_order))  # fmt: skip
    body = []
    for contest in usual:
        if contest in other:
            first, second = statistics.median(usual[contest]), statistics.median(other[contest])
            ratio = f'{second / first:.2f}'
            body.append([*map(str, contest), f'{first * 1e6:.1f}', f'{second * 1e6:.1f}', ratio])
    head = ['shape', 'batch', 'direction', 'type', 'queries together, us', 'heads together, us', 'times faster']
    return rows(head, body) if body else ''


def counter_table(found: Found) -> str:
    """Return what the profiler counted of every kernel."""
    body = []
    for row in found.counters:
        numbers = [row.get(name, '').replace(',', '') for name, *_ in COUNTERS]
        cells = [f'{float(n) * factor:.{digits}f}' if n else '' for n, (*_, factor, digits) in zip(numbers, COUNTERS)]
        body.append([row['Kernel Name'], *cells])
    return rows(['kernel', *(head for _, head, _, _ in COUNTERS)], body) if body else ''


def summary(folder: Path) -> str:
    """Return everything that the results in a folder say."""
    found = read_found(folder)
    measured = tables(found.timings) if found.timings['machine'] else ''
    parts = [machine_line(found), stage_table(found), test_lines(found), model_table(found), model_lines(found)]
    return '\n\n'.join(part for part in [*parts, measured, order_table(found), counter_table(found)] if part)


def gpu_table(results: Path = RESULTS) -> str:
    """Return what the READMEs say of GPUs: the tables of every card that has results, or that there are none.

    Raises:
        ValueError: there are results of a CPU among them.
    """
    return '\n\n'.join(map(card_table, _cards(results))) or UNTRIED


def gpu_note(results: Path = RESULTS) -> str:
    """Return the same in a sentence, for every page that speaks of GPUs."""
    names = [f'{read_found(folder).machines[-1]["gpu"]}' for folder in _cards(results)]
    return TRIED.format(' and '.join(names)) if names else UNTRIED


def _cards(results: Path) -> list[Path]:
    return sorted(path for path in results.glob('*') if path.is_dir())


def card_table(folder: Path) -> str:
    """Return what the READMEs say of one card."""
    found = read_found(folder)
    devices = {machine['device'] for machine in found.machines} | {found.timings['machine'].get('device', 'cuda')}
    if devices != {'cuda'}:
        raise ValueError(f'{folder} holds results of a dry run, which say nothing of a GPU: delete it')
    counts = Counter(entry['outcome'] for entry in found.tests)
    passed = f'{counts["passed"]} of {counts.total()} tests of the operators pass on it.' if found.tests else ''
    speed = f'{speed_table(found.timings, short=True)}\n\n{absent(found.timings)}' if found.timings['times'] else ''
    parts = [f'{machine_line(found)} {passed}'.strip(), model_table(found), speed.strip()]
    return '\n\n'.join(part for part in parts if part)


def _contest(entry: Entry) -> tuple[str, int, str, str]:
    return entry['case'], entry['batch'], entry['direction'], entry['precision']


def _distance(check: Entry | None) -> str:
    return f'{check["distance"]:.1g}' if check else ''


def _milliseconds(check: Entry) -> str:
    return f'{check["seconds"] * 1e3:.1f}' if check else ''
