"""Whether the data that a config reads is there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ..errors import MissingFileError


def check_data(config: Config, loader: str) -> None:
    """Check that the folders of a data loader exist, before a model is built for them.

    What this does not understand, such as data in the cloud, is left to MMSegmentation.

    Args:
        config: the whole config.
        loader: name of the data loader in it, such as ``'train_dataloader'``.

    Raises:
        FileNotFoundError: a folder does not exist.
    """
    for key, dataset in datasets_of(config, loader).items():
        _check_folders(loader, key, dataset)


def datasets_of(config: Config, loader: str) -> dict[str, dict[str, Any]]:
    """Return the data sets of a data loader that hold pictures, out of those that repeat or join them.

    Args:
        config: the whole config.
        loader: name of the data loader in it, such as ``'train_dataloader'``.

    Returns:
        The data sets by their keys in the config.
    """
    return dict(_datasets(f'{loader}.dataset', (config.get(loader) or {}).get('dataset')))


def _datasets(key: str, dataset: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the data sets that hold pictures, out of those that repeat or join them, and their keys in the config."""
    if not isinstance(dataset, dict):
        return
    if 'dataset' in dataset:  # RepeatDataset and its like
        yield from _datasets(f'{key}.dataset', dataset['dataset'])
    elif 'datasets' in dataset:  # ConcatDataset
        for index, part in enumerate(dataset['datasets']):
            yield from _datasets(f'{key}.datasets.{index}', part)
    else:
        yield key, dataset


def _check_folders(loader: str, key: str, dataset: dict[str, Any]) -> None:
    if dataset.get('backend_args'):
        return
    root = dataset.get('data_root') or ''
    for name, prefix in (dataset.get('data_prefix') or {}).items():
        if not isinstance(prefix, str) or '://' in root + prefix:
            continue
        folder = Path(root, prefix)
        if not folder.is_dir():
            raise MissingFileError(
                f'{loader}: {dataset.get("type")} expects {name} in {folder}, but {_what_is_there(folder)}. Put the '
                f'data or a link to it there, or say where it is: --cfg-options {key}.data_root=FOLDER'
            )


def _what_is_there(folder: Path) -> str:
    """Describe how far the path of a missing folder exists."""
    if folder.exists():
        return 'that is no folder'
    absolute = Path(os.path.abspath(folder))
    nearest = next(parent for parent in absolute.parents if parent.exists())
    return f'there is no {absolute.relative_to(nearest).parts[0]!r} in {nearest}'
