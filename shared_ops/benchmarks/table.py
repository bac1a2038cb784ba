"""The tables of a results file in Markdown. Needs the standard library alone, so that a test can make them anew."""

import json
import statistics
from pathlib import Path

from summary import OURS, Pairing, Results, geometric_mean, memory_ratios, ratios, worst

OPERATORS = {'ms_deform_attn': 'attention', 'dcnv3': 'DCNv3'}
PRECISIONS = ['float32', 'bfloat16', 'float16', 'bfloat16-points32', 'float16-points32', 'float64']


def _order(pairing: Pairing) -> tuple[object, ...]:
    """Sort by operator and direction; float32 first, and others before ourselves."""
    operator, precision = [*OPERATORS].index(pairing.operator), PRECISIONS.index(pairing.precision)
    return operator, pairing.direction, precision, pairing.opponent == OURS, pairing.opponent


def _counted(number: int, what: str) -> str:
    return f'{number} {what}' if number == 1 else f'{number} {what}s'


def _rows(head: list[str], body: list[list[str]]) -> str:
    rows = [f'| {" | ".join(line)} |' for line in [head, *body]]
    return '\n'.join([rows[0], f'|{"---|" * len(head)}', *rows[1:]])


def machine_line(results: Results) -> str:
    """Say on what was measured."""
    machine = results['machine']
    if machine['device'] == 'cuda':
        where = f'{machine["gpu"]}, driver {machine["driver"]}, CUDA {machine["cuda"]}'
    else:
        threads, cores = _counted(machine['threads'], 'thread'), _counted(machine['cores'], 'core')
        where = f'{machine["cpu"]} ({machine["cpu_capability"]}), {threads} on {cores}'
    return f'{where}; PyTorch {machine["torch"]}; revision {machine["revision"]}, {machine["date"][:10]}.'


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
    return _rows(['operator', 'direction', 'type', 'opponent', 'times faster', 'worst shape', 'shapes'], body)


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
    return _rows(['operator', 'direction', 'threads', 'times faster than one', 'worst shape'], body) if body else ''


def memory_table(results: Results) -> str:
    """Return the share of float32's peak memory that ours takes in half precision."""
    body = []
    for (operator, direction, precision), found in sorted(memory_ratios(results).items()):
        case, most = max(found, key=lambda entry: entry[1])
        mean = geometric_mean([share for _, share in found])
        row = [OPERATORS[operator], direction.replace('+', ' + '), precision, f'{mean:.2f}', f'{most:.2f} ({case})']
        body.append(row)
    return _rows(['operator', 'direction', 'type', 'peak memory, of float32', 'worst shape'], body) if body else ''


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
    parts = [machine_line(results), speed_table(results), scaling_table(results), memory_table(results)]
    return '\n\n'.join(part for part in [*parts, absent(results)] if part)


def tables_of_folder(folder: Path, short: bool = False) -> str:
    """Return the tables of all results files in a folder, one after another."""
    paths = sorted(folder.glob('*.json'))
    make = short_table if short else tables
    return '\n\n'.join(make(json.loads(path.read_text(encoding='utf-8'))) for path in paths)


def backbone_table(results: Results) -> str:
    """Return how long a backbone takes with the compiled operators and with plain PyTorch's, medians of all rounds."""
    backbone = results['backbone']
    seconds = {(entry['direction'], entry['implementation']): entry['seconds'] for entry in results['times']}
    body = []
    for direction in dict.fromkeys(entry['direction'] for entry in results['times']):
        ours, plain = seconds[direction, OURS], seconds[direction, 'plain PyTorch']
        times = [their / our for our, their in zip(ours, plain)]
        row = [direction.replace('+', ' + '), f'{statistics.median(ours):.2f} s', f'{statistics.median(plain):.2f} s']
        body.append([*row, f'{statistics.median(times):.2f}', f'{min(times):.2f}'])
    height, width = backbone['image']
    where = f'`{backbone["config"]}`, backbone alone, one image of {height}x{width}. {machine_line(results)}'
    head = ['direction', 'kernels of shared_ops', 'plain PyTorch', 'times faster', 'in the worst round']
    return f'{where}\n\n{_rows(head, body)}'


def backbone_table_of_file(path: Path) -> str:
    """Return the table of one results file."""
    return backbone_table(json.loads(path.read_text(encoding='utf-8')))


def training_memory_table(results: Results) -> str:
    """Return what an update needs at its peak in each setting, and the share of the first."""
    measured = results['measured']
    body = []
    for entry in measured:
        times = f'{entry["accumulate"]} x ' if entry['accumulate'] > 1 else ''
        pictures = f'{times}{entry["batch"]} of {entry["crop"]} x {entry["crop"]}'
        share = entry['bytes'] / measured[0]['bytes']
        body.append([entry['name'], pictures, f'{entry["bytes"] / 2**30:.2f} GiB', f'{100 * share:.0f} %'])
    where = f'`{results["config"]}`. {machine_line(results)}'
    return f'{where}\n\n{_rows(["setting", "pictures of an update", "memory", "of the first"], body)}'


def training_memory_table_of_file(path: Path) -> str:
    """Return the table of one results file."""
    return training_memory_table(json.loads(path.read_text(encoding='utf-8')))
