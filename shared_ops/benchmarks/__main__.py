"""Benchmarks of the operators: ``python shared_ops/benchmarks`` (nox -s bench installs what it needs).

Every implementation has to compute the right numbers before it is timed; all are timed side by side, round by round.
Results go to ``<out>/<device>.jsonl`` as they come, so that a run that is ended early leaves all that it found. At the
end a plot goes beside it; the tables are printed and, for the results that are committed, stand in the README.
"""

from __future__ import annotations

import argparse
import fnmatch
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from contest import DIRECTIONS, FAILS, Contest
from implementations import Implementation, Ours, Plain
from machine import describe
from peers import PEERS
from results import Record, Results
from scaling import measure_scaling
from shapes import CASES, SELECTIONS, TINY, Case
from summary import OURS
from table import tables
from tensors import PRECISIONS, draw
from timing import ON_CUDA, QUICK, Settings

# Batches above this would take a CPU longer than everything else.
LARGEST_ON_CPU = 160_000_000
# Peak memory and scaling do not depend on much: one shape of each kind.
CHOSEN = (
    'vit-adapter-l-896-injector', 'vit-adapter-l-896-extractor', 'mask2former-256-896', 'deformable-detr-encoder',
    'internimage-t-512-stage1', 'internimage-l-896-stage2', 'internimage-h-512-stage3',
)  # fmt: skip


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog='shared_ops/benchmarks', description=__doc__.splitlines()[0])
    parser.add_argument('--list', action='store_true', help='print the names of all cases and stop')
    parser.add_argument(
        '--cases',
        nargs='+',
        metavar='PATTERN',
        help=f'names or patterns: vit-*, *-512-stage1; or a selection: {", ".join(SELECTIONS)}',
    )
    parser.add_argument('--implementations', nargs='+', metavar='NAME', help='ours, plain, or names of peers')
    parser.add_argument(
        '--precisions',
        nargs='+',
        choices=list(PRECISIONS),
        metavar='NAME',
        help=', '.join(PRECISIONS),
        default=['float32', 'bfloat16', 'float16'],
    )
    parser.add_argument('--directions', nargs='+', choices=DIRECTIONS, default=list(DIRECTIONS))
    parser.add_argument('--batches', nargs='+', type=int, default=[1, 2, 16])
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--threads', type=int, help='of the CPU; all that PyTorch would take unless given')
    parser.add_argument('--rounds', type=int, help='turns of everyone per contest')
    parser.add_argument('--seconds', type=float, help='of the whole: after so many, nothing further is begun')
    parser.add_argument('--largest', type=int, help='leave out batches that interpolate more numbers; 0: none')
    parser.add_argument('--no-memory', action='store_true', help='do not measure peak memory')
    parser.add_argument('--no-scaling', action='store_true', help='do not compare numbers of threads')
    parser.add_argument('--quick', action='store_true', help='tiny shapes: shows that all of this works, in seconds')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmarks'), help='folder of the results')
    return parser.parse_args(arguments)


def chosen_cases(arguments: argparse.Namespace) -> list[Case]:
    """Return the cases that the options name, in that order.

    Raises:
        SystemExit: a pattern fits none.
    """
    cases = TINY if arguments.quick else CASES
    names: dict[str, None] = {}
    for pattern in arguments.cases or ['*']:
        fitting = SELECTIONS.get(pattern) or fnmatch.filter(cases, pattern)
        if pattern in SELECTIONS and arguments.quick:
            fitting = tuple(TINY)
        if not fitting:
            raise SystemExit(f'--cases {pattern}: no case has such a name; --list prints them')
        names.update(dict.fromkeys(fitting))
    return [cases[name] for name in names]


def chosen_implementations(arguments: argparse.Namespace) -> tuple[list[Implementation], list[dict[str, str]]]:
    """Return the implementations that the options name and that run here, and what does not.

    Raises:
        SystemExit: a name is not known.
    """
    known: dict[str, Implementation] = {'ours': Ours(), 'plain': Plain(), **{peer.name: peer() for peer in PEERS}}
    wanted = arguments.implementations or list(known)
    for name in wanted:
        if name not in known:
            raise SystemExit(f'--implementations {name}: choose from {", ".join(known)}')
    present, absent = [], []
    for name in wanted:
        reason = known[name].missing(arguments.device)
        if reason:
            absent.append({'implementation': known[name].name, 'reason': reason})
        else:
            present.append(known[name])
    return present, absent


def chosen_settings(arguments: argparse.Namespace) -> Settings:
    """Return how long a contest takes."""
    settings = QUICK if arguments.quick else ON_CUDA if arguments.device == 'cuda' else Settings()
    if arguments.rounds:
        settings = replace(settings, rounds=arguments.rounds, least_rounds=min(arguments.rounds, settings.least_rounds))
    return settings


def run(arguments: argparse.Namespace, record: Record) -> None:
    """Measure, case by case."""
    begin = time.monotonic()
    cases = chosen_cases(arguments)
    implementations, absent = chosen_implementations(arguments)
    record.add('machine', **describe(arguments.device))
    for entry in absent:
        record.add('absent', **entry)
        say(f'absent: {entry["implementation"]}: {entry["reason"]}')
    settings = chosen_settings(arguments)
    largest = arguments.largest
    if largest is None:
        largest = 0 if arguments.device == 'cuda' else LARGEST_ON_CPU
    precisions = [PRECISIONS[name] for name in arguments.precisions]

    def too_late(**what: object) -> bool:
        late = arguments.seconds is not None and time.monotonic() - begin > arguments.seconds
        if late:
            record.skip(f'the {arguments.seconds:g} seconds of --seconds were over', **what)
        return late

    for number, case in enumerate(cases, 1):
        say(f'{time.monotonic() - begin:4.0f} s, {number} of {len(cases)}: {case.name}')
        if too_late(case=case.name):
            continue
        contest = Contest(case, implementations, precisions, arguments.device, record)
        for batch in arguments.batches:
            work = case.interpolations * batch
            if batch > 1 and 0 < largest < work:
                reason = f'{work / 1e6:.0f} million interpolations are more than the {largest / 1e6:.0f} of --largest'
                record.skip(reason, case=case.name, batch=batch)
                continue
            if too_late(case=case.name, batch=batch):
                continue
            drawn = draw(case, batch, arguments.device)
            for direction in arguments.directions:
                if not too_late(case=case.name, batch=batch, direction=direction):
                    contest.run(drawn, direction, settings)
        if not arguments.quick and case.name not in CHOSEN:
            continue
        if not arguments.no_memory and not too_late(case=case.name, measurement='memory'):
            contest.measure_memory(arguments.directions)
        scales = arguments.device == 'cpu' and not arguments.no_scaling and contest.admits(OURS)
        if scales and not too_late(case=case.name, measurement='scaling'):
            for entry in measure_scaling(case, torch.get_num_threads(), settings):
                record.add('scaling', **entry)


def say(line: str) -> None:
    """Tell whoever waits what happens."""
    print(line, file=sys.stderr, flush=True)


def draw_beside(path: Path, results: Results) -> None:
    """Write a plot of the results where Matplotlib is installed."""
    try:
        from plot import draw_plot
    except ModuleNotFoundError as error:
        say(f'no plot: {error}')
        return
    draw_plot(results, path.with_suffix('.png'))


def main() -> None:
    """Run what the command line says."""
    arguments = parse()
    if arguments.list:
        for case in (TINY if arguments.quick else CASES).values():
            print(f'{case.name:36} {case.operator:16} {case.interpolations / 1e6:8.1f} million interpolations')
        for name, names in SELECTIONS.items():
            print(f'{name:36} {", ".join(names)}')
        return
    if arguments.device == 'cuda' and not torch.cuda.is_available():
        raise SystemExit('--device cuda: PyTorch sees no CUDA device')
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f'{arguments.device}.jsonl'
    with path.open('w', encoding='utf-8') as file:
        record = Record(file)
        run(arguments, record)
    results = record.results
    for entry in results['skipped']:
        what = ', '.join(f'{value}' for key, value in entry.items() if key != 'reason')
        say(f'skipped: {what}: {entry["reason"]}')
    print(tables(results))
    draw_beside(path, results)
    say(f'wrote {path}')
    inaccurate = [entry for entry in results['errors'] if entry['implementation'] == OURS and not entry['passed']]
    failed = [entry for entry in results['skipped'] if entry.get('implementation') == OURS and FAILS in entry['reason']]
    if inaccurate or failed:
        sys.exit('shared_ops itself is inaccurate or fails: see above')


if __name__ == '__main__':
    main()
