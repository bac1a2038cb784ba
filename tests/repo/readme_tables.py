"""The generated tables of the READMEs: of configs, from the configs; of benchmarks, from the results files."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / 'shared_ops' / 'benchmarks'


# Folder of a data set: its name.
DATA_SETS = {
    'ade20k': 'ADE20K',
    'cityscapes': 'Cityscapes',
    'coco_stuff164k': 'COCO-Stuff 164k',
    'coco_stuff10k': 'COCO-Stuff 10k',
    'pascal_context': 'Pascal Context, 59 classes',
    'potsdam': 'Potsdam',
    'chase_db1': 'CHASE DB1',
    'nyu_depth_v2': 'NYU Depth v2',
    'mapillary': 'Mapillary Vistas, with the classes of Cityscapes',
}


def config_table(package: str) -> str:
    """Return a table for each data set and one row a config: parameters of the built model, crop, published scores."""
    config_dir = importlib.import_module(package).CONFIG_DIR

    import yaml
    from mmseg.utils import register_all_modules

    register_all_modules()
    models = yaml.safe_load((config_dir / 'metafile.yaml').read_text(encoding='utf-8'))['Models']
    published = {model['Name']: model for model in models}
    folders = {path.parent.name for path in config_dir.glob('[!_]*/*.py')}
    assert folders <= set(DATA_SETS), f'DATA_SETS lacks {folders - set(DATA_SETS)}'
    tables = [
        _config_table_of(title, sorted((config_dir / folder).glob('*.py')), published)
        for folder, title in DATA_SETS.items()
        if folder in folders
    ]
    return '\n\n'.join(tables)


def _config_table_of(title: str, paths: list[Path], published: dict[str, dict[str, Any]]) -> str:
    import torch
    from mmengine import Config
    from mmseg.registry import MODELS

    rows = []
    for path in paths:
        config = Config.fromfile(path)
        (metric,) = config.test_evaluator.iou_metrics
        with torch.device('meta'):
            model = MODELS.build(config.model)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        backbone = config.model.backbone
        start = config.load_from or config.model.get('pretrained') or backbone.get('pretrained')
        start = Path(start or backbone.init_cfg.checkpoint).name
        # the files of AugReg have names of a hundred characters
        start = start if len(start) < 70 else f'{start[:20]}...{start[-12:]}'
        name, scores = f'`{path.stem}`', '-'
        if path.stem in published:
            name = f'[{name}]({published[path.stem]["Weights"]})'
            for result in published[path.stem].get('Results', []):
                metrics = result['Metrics']
                scores = f'{metrics.get(metric, "-")} / {metrics.get(f"{metric}(ms+flip)", "-")}'
        crop = 'x'.join(map(str, config.crop_size))
        rows.append(f'| {name} | {parameters / 1e6:.1f} M | {crop} | {scores} | `{start}` |')
    header = [
        f'**{title}**',
        '',
        f'| config, its published checkpoint | parameters | crop | published {metric}, one scale / several '
        '| starts from |',
        '|---|---|---|---|---|',
    ]
    return '\n'.join([*header, *rows])


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
        from table import backbone_table_of_file
    finally:
        sys.path.remove(str(BENCHMARKS))
    return backbone_table_of_file(BENCHMARKS / 'results' / 'backbones' / f'{package}-cpu.json')


# (README, name in its markers, what makes the table)
Table = tuple[Path, str, Callable[[], str]]
BENCHMARK_TABLES: list[Table] = [
    (ROOT / 'README.md', 'benchmarks', lambda: benchmark_table(short=True)),
    (ROOT / 'shared_ops' / 'README.md', 'benchmarks', lambda: benchmark_table(short=False)),
    (ROOT / 'packages' / 'vit_comer' / 'README.md', 'benchmarks', lambda: backbone_table('vit_comer')),
    (ROOT / 'packages' / 'internimage' / 'README.md', 'benchmarks', lambda: backbone_table('internimage')),
]
TABLES: list[Table] = [
    (ROOT / 'README.md', 'configs', lambda: config_table('vit_adapter')),
    (ROOT / 'packages' / 'internimage' / 'README.md', 'configs', lambda: config_table('internimage')),
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


def check_tables(tables: list[Table] = TABLES) -> None:
    for readme, name, make in tables:
        text = readme.read_text(encoding='utf-8')
        if with_table(text, name, make()) != text:
            where = readme.relative_to(ROOT)
            raise SystemExit(f'{where}: the table of {name} is out of date; run nox -s readme -- --write')
