"""Logging for TensorBoard, beside MMEngine's own log."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ...errors import InstallationError

BACKEND = 'TensorboardVisBackend'


def with_tensorboard(path: Path, folder: Path) -> Path:
    """Write a config that logs for TensorBoard as well.

    Args:
        path: the config that is to do so.
        folder: where the new one is written, under the same name, after which MMEngine names the work folder.

    Raises:
        ImportError: TensorBoard is not installed.
    """
    if importlib.util.find_spec('tensorboard') is None:
        raise InstallationError('--tensorboard needs the package tensorboard: pip install tensorboard')
    written = folder / path.name
    written.write_text(
        f'_base_ = {path.absolute().as_posix()!r}\n'
        f"visualizer = dict(vis_backends=[*_base_.visualizer.vis_backends, dict(type='{BACKEND}')])\n",
        encoding='utf-8',
    )
    return written
