"""A stand-in for ``mmcv._ext``, the compiled module that a fresh installation of MMCV lacks.

Importing ``mmdet.models``, and on OpenMMLab's own releases ``mmseg.models``, imports all of ``mmcv.ops``, and each of
them looks its functions up in ``mmcv._ext``. None of our models calls one.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NoReturn

from ..errors import StateError

NAME = 'mmcv._ext'


class _StandIn(ModuleType):
    """Has every function that is asked for; calling one says that MMCV was not compiled."""

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name.startswith('__'):  # asked by the import system and by inspect, where a function would mislead
            raise AttributeError(f'{NAME} has no {name}')

        def missing(*_: Any, **__: Any) -> NoReturn:
            raise StateError(
                f"MMCV's operator {name} was called, but this installation of MMCV has no compiled operators; "
                f'install a compiled mmcv, or use a model that does not need {name}'
            )

        return missing


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Offers the stand-in to whoever imports ``mmcv._ext``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(fullname, self, origin='stand-in') if fullname == NAME else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to execute."""


def install_stand_in() -> None:
    """Offer the stand-in. It is asked last, so that a real ``mmcv._ext`` always wins."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
