"""The tables of whole models in Markdown: time of backbones, memory of training. Needs the standard library alone."""

import json
import statistics
from pathlib import Path

from results import Results
from rows import machine_line, rows
from summary import OURS


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
    return f'{where}\n\n{rows(head, body)}'


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
    return f'{where}\n\n{rows(["setting", "pictures of an update", "memory", "of the first"], body)}'


def training_memory_table_of_file(path: Path) -> str:
    """Return the table of one results file."""
    return training_memory_table(json.loads(path.read_text(encoding='utf-8')))
