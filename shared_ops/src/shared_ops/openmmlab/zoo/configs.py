"""Configs found by name."""

from __future__ import annotations

import difflib
from pathlib import Path

from ...errors import InputError


class Configs:
    """The configs of one package.

    Args:
        package: import name, for messages.
        folder: where the configs lie, as ``<data set>/<name>.py``; folders that start with ``_`` hold bases.
    """

    def __init__(self, package: str, folder: Path) -> None:
        self.package = package
        self.folder = folder

    def names(self) -> list[str]:
        """Return ``<data set>/<name>`` of every config, sorted."""
        paths = self.folder.glob('[!_]*/[!_]*.py')
        return sorted(f'{path.parent.name}/{path.stem}' for path in paths)

    def find(self, name: str) -> Path:
        """Return the absolute path of a config.

        Args:
            name: ``<name>`` or ``<data set>/<name>``, with or without ``.py``, or the path of a file of one's own.

        Raises:
            ValueError: there is no such config, or it is there for several data sets.
        """
        file = Path(name).expanduser()
        if file.is_file():
            return file.absolute()
        wanted = name.removesuffix('.py')
        names = self.names()
        found = [each for each in names if wanted in (each, each.split('/')[1])]
        if len(found) > 1:
            raise InputError(f'config {name!r} is there for several data sets: say {" or ".join(found)}')
        if not found:
            raise InputError(
                f'config {name!r} is neither a config of {self.package} nor a file.{self._suggestion(wanted, names)}'
                f' `python -m {self.package} ls` lists all'
            )
        return (self.folder / f'{found[0]}.py').absolute()

    def _suggestion(self, wanted: str, names: list[str]) -> str:
        stems = [name.split('/')[1] for name in names]
        nearest = difflib.get_close_matches(Path(wanted).name, dict.fromkeys(stems), n=3, cutoff=0.5)
        return f' Did you mean {" or ".join(nearest)}?' if nearest else ''
