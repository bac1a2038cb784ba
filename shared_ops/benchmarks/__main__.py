"""Benchmarks of the operators: ``python shared_ops/benchmarks`` (nox -s bench installs what it needs).

Every implementation has to compute the right numbers before it is timed; all are timed side by side, round by round.
Results go to ``<out>/<device>.json``, the plot beside it; the tables are printed and, for the results that are
committed, stand in the README.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from contest import DIRECTIONS, Contest, Record
from implementations import Implementation, Ours, Plain
from machine import describe
from peers import PEERS
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from scaling import measure_scaling
from shapes import CASES, TINY, Case
from summary import OURS, Results
from table import tables
from tensors import PRECISIONS
from timing import QUICK, Settings

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
    parser.add_argument('--cases', nargs='+', metavar='PATTERN', help='names or patterns: vit-*, *-512-stage1')
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
    parser.add_argument('--largest', type=int, help='leave out batches that interpolate more numbers; 0: none')
    parser.add_argument('--no-memory', action='store_true', help='do not measure peak memory')
    parser.add_argument('--no-scaling', action='store_true', help='do not compare numbers of threads')
    parser.add_argument('--quick', action='store_true', help='tiny shapes: shows that all of this works, in seconds')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/benchmarks'), help='folder of the results')
    return parser.parse_args(arguments)


def chosen_cases(arguments: argparse.Namespace) -> list[Case]:
    """Return the cases that the options name.

    Raises:
        SystemExit: a pattern fits none.
    """
    cases = TINY if arguments.quick else CASES
    names: dict[str, None] = {}
    for pattern in arguments.cases or ['*']:
        fitting = fnmatch.filter(cases, pattern)
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


def run(arguments: argparse.Namespace, console: Console) -> Results:
    """Measure; return what goes into the JSON file."""
    record = Record()
    cases = chosen_cases(arguments)
    implementations, absent = chosen_implementations(arguments)
    for entry in absent:
        console.print(f'[yellow]skipped: {entry["implementation"]}: {entry["reason"]}', highlight=False)
    settings = QUICK if arguments.quick else Settings()
    if arguments.rounds:
        settings = replace(settings, rounds=arguments.rounds, least_rounds=min(arguments.rounds, settings.least_rounds))
    largest = arguments.largest
    if largest is None:
        largest = 0 if arguments.device == 'cuda' else LARGEST_ON_CPU
    precisions = [PRECISIONS[name] for name in arguments.precisions]
    machine = describe(arguments.device)

    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task('', total=len(cases))
        for case in cases:
            progress.update(task, description=case.name)
            contest = Contest(case, implementations, precisions, arguments.device, record)
            for batch in arguments.batches:
                work = case.interpolations * batch
                if batch > 1 and 0 < largest < work:
                    reason = (
                        f'{work / 1e6:.0f} million interpolations are more than the {largest / 1e6:.0f} of --largest'
                    )
                    record.skip(reason, case=case.name, batch=batch)
                else:
                    contest.run(batch, arguments.directions, settings)
            if arguments.quick or case.name in CHOSEN:
                if not arguments.no_memory:
                    contest.measure_memory(arguments.directions)
                if arguments.device == 'cpu' and not arguments.no_scaling and contest.admits(OURS):
                    record.scaling += measure_scaling(case, torch.get_num_threads(), settings)
            progress.advance(task)
    return {'machine': machine, 'absent': absent, **vars(record)}


def as_json(results: Results) -> str:
    """Return the results with one entry a line, which git can compare."""
    parts = []
    for key, value in results.items():
        text = json.dumps(value, indent=1 if isinstance(value, dict) else None)
        if isinstance(value, list) and value:
            text = '[\n' + ',\n'.join(json.dumps(entry) for entry in value) + '\n]'
        parts.append(f'{json.dumps(key)}: {text}')
    return '{\n' + ',\n'.join(parts) + '\n}\n'


def main() -> None:
    """Run what the command line says."""
    arguments = parse()
    console = Console(stderr=True)
    if arguments.list:
        for case in (TINY if arguments.quick else CASES).values():
            print(f'{case.name:36} {case.operator:16} {case.interpolations / 1e6:8.1f} million interpolations')
        return
    if arguments.device == 'cuda' and not torch.cuda.is_available():
        raise SystemExit('--device cuda: PyTorch sees no CUDA device')
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    results = run(arguments, console)
    for entry in results['skipped']:
        what = ', '.join(f'{value}' for key, value in entry.items() if key != 'reason')
        console.print(f'[yellow]skipped: {what}: {entry["reason"]}', highlight=False)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f'{arguments.device}.json'
    path.write_text(as_json(results), encoding='utf-8')
    print(tables(results))
    from plot import draw_plot

    draw_plot(results, path.with_suffix('.png'))
    console.print(f'wrote {path} and {path.with_suffix(".png")}')
    if not all(entry['passed'] for entry in results['errors'] if entry['implementation'] == OURS):
        sys.exit('shared_ops itself is inaccurate: see above')


if __name__ == '__main__':
    main()
