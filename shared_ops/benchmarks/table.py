"""The tables of a results file in Markdown: ``python table.py FILE...`` prints them.

Needs the standard library alone, so that a test can make them anew.
"""

import statistics
import sys
from pathlib import Path

from cuda_table import cuda_table
from results import Results, read_results
from rows import OPERATORS, machine_line, rows
from summary import OURS, Pairing, geometric_mean, memory_ratios, ratios, worst

PRECISIONS = ['float32', 'bfloat16', 'float16', 'bfloat16-points32', 'float16-points32', 'float64']


def _order(pairing: Pairing) -> tuple[object, ...]:
    """Sort by operator and direction; float32 first, and others before ourselves."""
    operator, precision = [*OPERATORS].index(pairing.operator), PRECISIONS.index(pairing.precision)
    return operator, pairing.direction, precision, pairing.opponent == OURS, pairing.opponent


def speed_table(results: Results, short: bool = False) -> str:
    """Return one row per operator, direction, type and opponent.

    Args:
        results: a results file.
        short: only float32 against others, and bfloat16 against our own float32.
    """
    body = []
    for pairing, values in sorted(ratios(results).items(), key=lambda item: _order(item[0])):
        with_ourselves = pairing.opponent == OURS
        if short and (pairing.precision != 'bfloat16' if with_ourselves else pairing.precision != 'float32'):
            continue
        least = worst(values)
        body.append(
            [
                OPERATORS[pairing.operator],
                pairing.direction.replace('+', ' + '),
                pairing.precision,
                f'ours in {pairing.against}' if with_ourselves else pairing.opponent,
                f'{geometric_mean([ratio.median for ratio in values]):.2f}',
                f'{least.median:.2f} ({least.shape})',
                str(len(values)),
            ]
        )
    return rows(['operator', 'direction', 'type', 'opponent', 'times faster', 'worst shape', 'shapes'], body)


def scaling_table(results: Results) -> str:
    """Return what threads bring, by operator and direction."""
    groups: dict[tuple[str, str, int], list[tuple[float, str]]] = {}
    for entry in results['scaling']:
        times = statistics.median(one / several for one, several in zip(entry['one'], entry['several']))
        groups.setdefault((entry['operator'], entry['direction'], entry['threads']), []).append((times, entry['case']))
    body = [
        [
            OPERATORS[operator],
            direction,
            str(threads),
            f'{geometric_mean([times for times, _ in found]):.2f}',
            f'{min(found)[0]:.2f} ({min(found)[1]})',
        ]
        for (operator, direction, threads), found in groups.items()
    ]
    return rows(['operator', 'direction', 'threads', 'times faster than one', 'worst shape'], body) if body else ''


def memory_table(results: Results) -> str:
    """Return the share of float32's peak memory that ours takes in half precision."""
    body = []
    for (operator, direction, precision), found in sorted(memory_ratios(results).items()):
        case, most = max(found, key=lambda entry: entry[1])
        mean = geometric_mean([share for _, share in found])
        row = [OPERATORS[operator], direction.replace('+', ' + '), precision, f'{mean:.2f}', f'{most:.2f} ({case})']
        body.append(row)
    return rows(['operator', 'direction', 'type', 'peak memory, of float32', 'worst shape'], body) if body else ''


def absent(results: Results) -> str:
    """Say which peers did not take part at all, and why; what failed the gate; what was too large."""
    reasons = [f'{entry["implementation"]} ({entry["reason"]})' for entry in results['absent']]
    reasons += [
        f'{entry["implementation"]} in {entry["precision"]} on {entry["case"]} ({entry["reason"]})'
        for entry in results['skipped']
        if entry['reason'].startswith('inaccurate')
    ]
    sentences = [f'Not measured: {"; ".join(reasons)}.'] if reasons else []
    untimed = sum(1 for entry in results['skipped'] if not entry['reason'].startswith('inaccurate'))
    if untimed:
        sentences.append(f'{untimed} more combinations were left out; the results file names each with its reason.')
    return ' '.join(sentences)


def short_table(results: Results) -> str:
    """Return what the first README shows of one results file."""
    return f'{machine_line(results)}\n\n{speed_table(results, short=True)}'


def tables(results: Results) -> str:
    """Return everything that one results file has to say."""
    made = (speed_table, cuda_table, scaling_table, memory_table)
    parts = [machine_line(results), *(make(results) for make in made)]
    return '\n\n'.join(part for part in [*parts, absent(results)] if part)


def tables_of_folder(folder: Path, short: bool = False) -> str:
    """Return the tables of all results files in a folder, one after another."""
    make = short_table if short else tables
    return '\n\n'.join(make(read_results(path)) for path in sorted(folder.glob('*.jsonl')))


if __name__ == '__main__':
    print(tables(read_results(*map(Path, sys.argv[1:]))))
