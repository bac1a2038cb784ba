"""The tables of a results file in Markdown. Needs the standard library alone, so that a test can make them anew."""

import statistics

from summary import OURS, Results, geometric_mean, memory_ratios, ratios, worst

OPERATORS = {'ms_deform_attn': 'attention', 'dcnv3': 'DCNv3'}


def _rows(head: list[str], body: list[list[str]]) -> str:
    lines = [head, ['---'] * len(head), *body]
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def machine_line(results: Results) -> str:
    """Say on what was measured."""
    machine = results['machine']
    if machine['device'] == 'cuda':
        where = f'{machine["gpu"]}, driver {machine["driver"]}, CUDA {machine["cuda"]}'
    else:
        threads = f'{machine["threads"]} thread{"s" if machine["threads"] > 1 else ""}'
        where = f'{machine["cpu"]} ({machine["cpu_capability"]}), {threads} on {machine["cores"]} cores'
    return f'{where}; PyTorch {machine["torch"]}; revision {machine["revision"]}, {machine["date"][:10]}.'


def speed_table(results: Results) -> str:
    """Return one row per operator, direction, precision and opponent."""
    body = []
    found = ratios(results)
    # in the order of the file, which is that of operators, precisions and implementations as they were given
    for pairing, values in sorted(found.items(), key=lambda item: (item[0].operator, item[0].direction)):
        least = worst(values)
        opponent = f'ours in {pairing.against}' if pairing.opponent == OURS else pairing.opponent
        body.append(
            [
                OPERATORS[pairing.operator],
                pairing.direction.replace('+', ' + '),
                pairing.precision,
                opponent,
                f'{geometric_mean([ratio.median for ratio in values]):.2f}',
                f'{least.median:.2f} ({least.shape})',
                str(len(values)),
            ]
        )
    head = ['operator', 'direction', 'type', 'opponent', 'times faster', 'worst shape', 'shapes']
    return _rows(head, body)


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
    """Say which peers did not take part at all, and why."""
    reasons = [f'{entry["implementation"]}: {entry["reason"]}' for entry in results['absent']]
    return f'Not measured: {"; ".join(reasons)}.' if reasons else ''


def tables(results: Results) -> str:
    """Return all that the README shows of one results file."""
    parts = [
        machine_line(results),
        speed_table(results),
        scaling_table(results),
        memory_table(results),
        absent(results),
    ]
    return '\n\n'.join(part for part in parts if part)
