"""Files that are there as a whole or not at all, and how those of checkpoints end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

CHECKPOINTS = ('.pth', '.pth.tar', '.pt', '.ckpt')


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a file to write to in place of ``path``, which it replaces when all is written, and only then.

    Its name is always the same, ``NAME.unfinished``, so that what killed processes leave does not pile up.

    Args:
        path: the file, whose folder is made if need be.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'{path.name}.unfinished')
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
