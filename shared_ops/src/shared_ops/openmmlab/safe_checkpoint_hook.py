"""Saving checkpoints so that there is a whole one at any time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner, find_latest_checkpoint
from mmseg.registry import HOOKS

from .checkpoint_files import WHOLE_FILES, is_in_store, whole_checkpoint


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):  # type: ignore[misc]
    """MMEngine's ``CheckpointHook`` for trainings that may be killed at any time.

    An old checkpoint is removed after the new one is saved, not before, and a file gets its name when all of it is on
    the disk. Where the last checkpoint is truncated all the same, ``--resume`` goes on from the one before it.
    With an ``out_dir`` that is an address (``s3://...``), files are written by MMEngine's own means.

    Args:
        kwargs: as for ``CheckpointHook``.
    """

    def __init__(self, **kwargs: Any) -> None:
        named = kwargs.get('backend_args') is not None or kwargs.get('file_client_args') is not None
        if not named and not is_in_store(kwargs.get('out_dir') or ''):
            kwargs['backend_args'] = {'backend': WHOLE_FILES}
        super().__init__(**kwargs)

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume from, which MMEngine's ``Runner`` loads right after."""
        if runner._resume is not True or runner._load_from is not None:
            return
        noted = find_latest_checkpoint(runner.work_dir)
        if noted and is_in_store(noted):
            return
        named = Path(noted) if noted else None
        chosen = whole_checkpoint(named, named.parent if named else Path(runner.work_dir))
        if chosen != named:
            runner._load_from = str(chosen)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        if self.max_keep_ckpts <= 0:
            super()._save_checkpoint_with_step(runner, step, meta)
            return
        self.keep_ckpt_ids: deque[int] = deque(self.keep_ckpt_ids)  # MMEngine's drops the oldest by itself
        with self._one_more():
            super()._save_checkpoint_with_step(runner, step, meta)
        while len(self.keep_ckpt_ids) > self.max_keep_ckpts:
            name = self.filename_tmpl.format(self.keep_ckpt_ids.popleft())
            self._remove(self.file_backend.join_path(self.out_dir, name))

    @contextmanager
    def _one_more(self) -> Iterator[None]:
        self.max_keep_ckpts += 1
        try:
            yield
        finally:
            self.max_keep_ckpts -= 1

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, float]) -> None:
        # MMEngine removes the best one so far, before it saves a better one, where it knows of it
        if not self.save_best or len(self.key_indicators) > 1:
            super()._save_best_checkpoint(runner, metrics)
            return
        before: str | None = self.best_ckpt_path
        self.best_ckpt_path: str | None = None
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.best_ckpt_path = self.best_ckpt_path or before
        if before and before != self.best_ckpt_path:
            self._remove(before)

    def _remove(self, path: str) -> None:
        if not is_main_process():
            return
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):  # MMEngine's strategies write folders
            self.file_backend.rmtree(path)
