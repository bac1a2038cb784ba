"""The generated tables of the READMEs: of configs, from the configs; of benchmarks, from the results files."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from config_tables import PACKAGES, config_table, summary_table, zoo_table
from documents import CHINESE, PAGES, PAGES_ON_GPUS, READMES, generated_tables, links_from_pages
from migration_tables import options_table, settings_table, types_table

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / 'shared_ops' / 'benchmarks'
GPU = ROOT / 'tests' / 'gpu'


def benchmark_table(short: bool) -> str:
    """Return the tables of the committed results; needs the standard library alone."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from table import tables_of_folder
    finally:
        sys.path.remove(str(BENCHMARKS))
    return tables_of_folder(BENCHMARKS / 'results', short=short)


def backbone_table(package: str) -> str:
    """Return the table of a package's backbone with and without kernels; needs the standard library alone."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from model_tables import backbone_table_of_file
    finally:
        sys.path.remove(str(BENCHMARKS))
    return backbone_table_of_file(BENCHMARKS / 'results' / 'backbones' / f'{package}-cpu.json')


def training_memory_table() -> str:
    """Return the table of what training takes; needs the standard library alone."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from model_tables import training_memory_table_of_file
    finally:
        sys.path.remove(str(BENCHMARKS))
    return training_memory_table_of_file(BENCHMARKS / 'results' / 'training_memory' / 'vit_adapter-cpu.json')


def gpu_report(function: str) -> str:
    """Return what is known of the kernels on GPUs, as a table or in a sentence; needs the standard library alone."""
    sys.path[:0] = [str(GPU)]
    try:
        import report
    finally:
        sys.path.remove(str(GPU))
    return getattr(report, function)()


# (README, name in its markers, what makes the table)
Table = tuple[Path, str, Callable[[], str]]
BENCHMARK_TABLES: list[Table] = [
    (ROOT / 'README.md', 'benchmarks', lambda: benchmark_table(short=True)),
    (ROOT / 'shared_ops' / 'README.md', 'benchmarks', lambda: benchmark_table(short=False)),
    *((readme, 'gpu', partial(gpu_report, 'gpu_table')) for readme in READMES[:2]),
    *((page, 'gpu_note', partial(gpu_report, 'gpu_note')) for page in PAGES_ON_GPUS),
    (ROOT / 'packages' / 'vit_comer' / 'README.md', 'benchmarks', lambda: backbone_table('vit_comer')),
    (ROOT / 'packages' / 'internimage' / 'README.md', 'benchmarks', lambda: backbone_table('internimage')),
    (PAGES / 'your_own_data.md', 'memory', training_memory_table),
]
TABLES: list[Table] = [
    (ROOT / 'README.md', 'configs', summary_table),
    (PAGES / 'migrating.md', 'options', options_table),
    (PAGES / 'migrating.md', 'settings', settings_table),
    (PAGES / 'migrating.md', 'types', types_table),
    (ROOT / 'README.md', 'zoo', zoo_table),
    *((ROOT / 'packages' / package / 'README.md', 'configs', partial(config_table, package)) for package in PACKAGES),
    *BENCHMARK_TABLES,
]


def with_table(text: str, name: str, table: str) -> str:
    """Put a table between its two markers."""
    begin, end = f'<!-- {name}: begin (nox -s readme -- --write) -->', f'<!-- {name}: end -->'
    pattern = re.escape(begin) + r'.*?' + re.escape(end)
    assert re.search(pattern, text, flags=re.S), f'a README lacks the lines {begin} and {end}'
    return re.sub(pattern, lambda _: f'{begin}\n{table}\n{end}', text, flags=re.S)


def write_tables(tables: list[Table] = TABLES) -> None:
    for readme, name, make in tables:
        readme.write_text(with_table(readme.read_text(encoding='utf-8'), name, make()), encoding='utf-8')
    write_chinese_tables()


def write_chinese_tables() -> None:
    """Copy the generated tables of the README into the Chinese one, whose links start from another folder."""
    chinese = CHINESE.read_text(encoding='utf-8')
    for table in generated_tables((ROOT / 'README.md').read_text(encoding='utf-8')):
        name, body = re.match(r'<!-- (\w+): begin [^\n]*\n(.*)\n<!--', table, flags=re.S).groups()
        chinese = with_table(chinese, name, links_from_pages(body))
    CHINESE.write_text(chinese, encoding='utf-8')


def check_tables(tables: list[Table] = TABLES) -> None:
    for readme, name, make in tables:
        text = readme.read_text(encoding='utf-8')
        if with_table(text, name, make()) != text:
            where = readme.relative_to(ROOT)
            raise SystemExit(f'{where}: the table of {name} is out of date; run nox -s readme -- --write')
