"""What the authors of a package's models published, from the package's ``metafile.yml``."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from mmengine.fileio import load

from ...errors import InputError
from .configs import Configs

METAFILE = 'metafile.yml'


@dataclass(frozen=True)
class PublishedModel:
    """One config, and its checkpoint.

    Args:
        name: of the config, without data set and ``.py``.
        collection: the architecture, as its paper calls it.
        weights: address of the checkpoint, of an archive with it, or of a page; None if none was published.
        sha256: hexadecimal digits that the SHA-256 of the file at ``weights`` begins with; None if they are not known.
    """

    name: str
    collection: str
    weights: str | None = None
    sha256: str | None = None


def published_models(package: str) -> dict[str, PublishedModel]:
    """Return all models of a package (an import name), by the names of their configs."""
    folder: Path = importlib.import_module(package).CONFIG_DIR
    entries = load(folder / METAFILE)['Models']
    models = (
        PublishedModel(entry['Name'], entry['In Collection'], entry.get('Weights'), entry.get('SHA256'))
        for entry in entries
    )
    return {model.name: model for model in models}


def published_model(package: str, name: str) -> PublishedModel:
    """Return one model.

    Args:
        package: import name.
        name: of a config, with or without data set and ``.py``, or the path of one of the package's.

    Raises:
        ValueError: it is no config of the package.
    """
    configs = Configs(package, importlib.import_module(package).CONFIG_DIR)
    path = configs.find(name)
    models = published_models(package)
    if path.resolve().parents[1] != configs.folder.resolve() or path.stem not in models:
        raise InputError(
            f'config {name} is a file of your own, for which nothing is published; name its checkpoint, or one of the '
            f'configs that `python -m {package} ls` lists'
        )
    return models[path.stem]
