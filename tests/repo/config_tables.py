"""The READMEs' tables of configs: parameters of the built models, and what their authors published."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verified import OF_CASES, OF_CONFIGS, family, marks

if TYPE_CHECKING:
    from mmengine import Config
    from torch import nn

PACKAGES = ('vit_adapter', 'vit_comer', 'internimage')
MODELS = {'vit_adapter': 'ViT-Adapter', 'vit_comer': 'ViT-CoMer', 'internimage': 'InternImage'}
# Folder of a data set: its name.
DATA_SETS = {
    'ade20k': 'ADE20K',
    'cityscapes': 'Cityscapes',
    'mapillary': 'Mapillary Vistas',
    'coco_stuff164k': 'COCO-Stuff 164k',
    'coco_stuff10k': 'COCO-Stuff 10k',
    'pascal_context': 'Pascal Context, 59 classes',
    'nyu_depth_v2': 'NYU Depth v2',
    'potsdam': 'Potsdam',
    'chase_db1': 'CHASE DB1',
}


@dataclass(frozen=True)
class Row:
    """One config.

    Args:
        name: of the config.
        metric: what its data set is judged by.
        parameters: number of the built model's.
        crop: (height, width) in pixels that it trains with.
        scores: published, with one scale and with several; None where there is none.
        weights: address of the published checkpoint.
        start: file that training starts from.
        operators: of shared_ops, that the model runs on.
        verified: marks of what was compared with the original program, by column.
    """

    name: str
    metric: str
    parameters: int
    crop: tuple[int, ...]
    scores: tuple[float | None, float | None]
    weights: str | None
    start: str
    operators: str
    verified: dict[str, str]


@functools.cache
def rows_of(package: str) -> dict[str, list[Row]]:
    """Return the configs of each data set (its folder) in the order of ``DATA_SETS``."""
    import torch
    from mmengine import Config
    from mmengine.fileio import load
    from mmengine.registry import init_default_scope

    config_dir = importlib.import_module(package).CONFIG_DIR

    from mmseg.registry import MODELS as REGISTRY
    from mmseg.utils import register_all_modules

    register_all_modules()
    init_default_scope('mmseg')
    published = {model['Name']: model for model in load(config_dir / 'metafile.yml')['Models']}
    paths = sorted(config_dir.glob('[!_]*/*.py'))
    strange = {path.parent.name for path in paths} - set(DATA_SETS)
    assert not strange, f'DATA_SETS lacks {strange}'
    configs = {f'{path.parent.name}/{path.stem}': Config.fromfile(path) for path in paths}
    families = {name: family(config) for name, config in configs.items()}

    rows: dict[str, list[Row]] = {}
    for folder in DATA_SETS:
        for path in (path for path in paths if path.parent.name == folder):
            config = configs[f'{folder}/{path.stem}']
            (metric,) = config.test_evaluator.iou_metrics
            with torch.device('meta'):
                model = REGISTRY.build(config.model)
            entry = published[path.stem]
            metrics = entry.get('Results', {}).get('Metrics', {})
            rows.setdefault(folder, []).append(
                Row(
                    name=path.stem,
                    metric=metric,
                    parameters=sum(parameter.numel() for parameter in model.parameters()),
                    crop=tuple(config.crop_size),
                    scores=(metrics.get(metric), metrics.get(f'{metric}(ms+flip)')),
                    weights=entry.get('Weights'),
                    start=_start(config),
                    operators=_operators(model),
                    verified=marks(package, f'{folder}/{path.stem}', families),
                )
            )
    return rows


def _start(config: Config) -> str:
    """Return the file that training starts from, shortened: AugReg's have names of a hundred characters."""
    backbone = config.model.backbone
    init_cfg = backbone.get('init_cfg') or {}
    source = config.load_from or config.model.get('pretrained') or backbone.get('pretrained')
    name = Path(source or init_cfg.get('checkpoint') or '-').name
    return name if len(name) < 70 else f'{name[:20]}...{name[-12:]}'


def _operators(model: nn.Module) -> str:
    kinds = {type(module).__name__ for module in model.modules()}
    return ', '.join(name for name, kind in {'attention': 'MSDeformAttn', 'DCNv3': 'DCNv3'}.items() if kind in kinds)


def config_table(package: str) -> str:
    """Return a table for each data set, and in it one row for each config."""
    return '\n\n'.join('\n'.join(_lines(DATA_SETS[folder], rows)) for folder, rows in rows_of(package).items())


def _lines(title: str, rows: list[Row]) -> Iterator[str]:
    yield f'**{title}**\n'
    yield (
        f'| config, its published checkpoint | parameters | crop | published {rows[0].metric}, one scale / several '
        '| starts from |'
    )
    yield '|---|---|---|---|---|'
    for row in rows:
        crop = 'x'.join(map(str, row.crop))
        start = '-' if row.start == '-' else f'`{row.start}`'
        yield f'| {_linked(row)} | {row.parameters / 1e6:.1f} M | {crop} | {_scores(*row.scores)} | {start} |'


def _scores(single: float | None, several: float | None) -> str:
    if single is None and several is None:
        return '-'
    return f'{"-" if single is None else single} / {"-" if several is None else several}'


def zoo_table() -> str:
    """Return all configs, with their published checkpoints and what was compared with the original programs."""
    columns = [*OF_CONFIGS, *OF_CASES]
    head = [
        'config, its published checkpoint',
        'data set',
        'parameters',
        'mIoU, one scale / several',
        'operator',
        *columns,
    ]
    lines: list[str] = []
    for package in PACKAGES:
        rows = [(DATA_SETS[folder], row) for folder, rows in rows_of(package).items() for row in rows]
        lines += [f'<details><summary>{MODELS[package]}, {len(rows)} configs</summary>', '']
        lines += [f'| {" | ".join(head)} |', f'|{"---|" * len(head)}']
        for data_set, row in rows:
            scores = _scores(*row.scores) + (
                '' if row.metric == 'mIoU' or row.scores == (None, None) else f' {row.metric}'
            )
            cells = [_linked(row), data_set, f'{row.parameters / 1e6:.1f} M', scores, row.operators]
            lines.append(f'| {" | ".join([*cells, *(row.verified[column] for column in columns)])} |')
        lines += ['', '</details>', '']
    return '\n'.join(lines[:-1])


def _linked(row: Row) -> str:
    return f'[`{row.name}`]({row.weights})' if row.weights else f'`{row.name}`'


def summary_table() -> str:
    """Return one row for each data set of each package."""
    lines = [
        '| model | data set | configs | parameters | best published, one scale / several |',
        '|---|---|---|---|---|',
    ]
    for package in PACKAGES:
        for folder, rows in rows_of(package).items():
            counts = [row.parameters for row in rows]
            low, high = (f'{round(number / 1e6)}' for number in (min(counts), max(counts)))
            best = (
                max((row.scores[which] for row in rows if row.scores[which] is not None), default=None)
                for which in (0, 1)
            )
            scores = _scores(*best)
            scores = scores if scores == '-' else f'{scores} {rows[0].metric}'
            span = low if low == high else f'{low} to {high}'
            link = f'[{MODELS[package]}](packages/{package}#configs)'
            lines.append(f'| {link} | {DATA_SETS[folder]} | {len(rows)} | {span} M | {scores} |')
    return '\n'.join(lines)
