"""Checkpoint files that are whole or are not there."""

from __future__ import annotations

import logging
import os
import zipfile
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log

from ..errors import FileError
from .files import whole

# The name under which MMEngine knows the backend.
WHOLE_FILES = 'shared_ops_whole_files'


@register_backend(WHOLE_FILES)
class WholeFileBackend(LocalBackend):  # type: ignore[misc]
    """MMEngine's access to files, in which a file gets its name when all of it is on the disk.

    MMEngine writes into the file itself, so that a process that is killed or a disk that is full leaves a part of it.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file, or leave what was there.

        Args:
            obj: its content.
            filepath: its name; folders are made.

        Raises:
            OSError: it could not be written, for want of space for example.
        """
        path = Path(filepath)
        try:
            with whole(path) as unfinished, unfinished.open('wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise FileError(
                error.errno,
                f'{path} ({len(obj) / 1e6:.0f} MB) was not written: {os.strerror(error.errno or 0)}. Earlier '
                f'checkpoints are untouched; make room and go on with --resume',
            ) from error


def is_in_store(path: str) -> bool:
    """Tell whether a path lies in a store that MMEngine reaches by its prefix, such as ``s3://``, and not on a disk."""
    return '://' in path


def is_whole(path: Path) -> bool:
    """Tell whether a checkpoint is there and its end is; only the end is read.

    A folder, as strategies of MMEngine write, counts as whole.
    """
    if path.is_dir():
        return True
    try:
        with zipfile.ZipFile(path):
            return True
    except (OSError, zipfile.BadZipFile):
        return False


def whole_checkpoint(named: Path | None, folder: Path) -> Path | None:
    """Return the checkpoint to resume from.

    Args:
        named: the one that was saved last, as MMEngine noted; None if it noted none.
        folder: where the trainings' checkpoints are.

    Returns:
        ``named`` if it is whole, else the newest of ``iter_*.pth`` and ``epoch_*.pth`` that is, with a warning; and
        where there is none, ``named`` again.
    """
    if named is not None and is_whole(named):
        return named
    others = [path for pattern in ('iter_*.pth', 'epoch_*.pth') for path in folder.glob(pattern) if path != named]
    newest = max(filter(is_whole, others), key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        return named
    what = 'no checkpoint is noted as the last one' if named is None else f'checkpoint {named} is missing or truncated'
    print_log(f'{what}; going on from {newest}', logger='current', level=logging.WARNING)
    return newest
