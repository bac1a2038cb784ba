"""The picture of a training, drawn while it goes on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import BaseLoop, Runner
from mmseg.registry import HOOKS

# Name of the picture in the work folder.
PICTURE = 'curves.png'


@HOOKS.register_module()
class CurvesHook(Hook):  # type: ignore[misc]
    """Draw loss, learning rate and scores into ``curves.png`` of the work folder, after each validation and at the end.

    A picture that cannot be drawn is a warning: it never stops a training.
    """

    # after the hook that logs
    priority = 'LOWEST'

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Draw what has been logged, if this validation is part of a training."""
        # the loop of a runner that only validates is still a config
        if isinstance(runner._train_loop, BaseLoop):
            self._draw(runner)

    def after_train(self, runner: Runner) -> None:
        """Draw the whole training."""
        self._draw(runner)

    def _draw(self, runner: Any) -> None:
        if not is_main_process():
            return
        try:
            from .drawing import draw_curves
            from .scalars import read_run

            folder = Path(runner.work_dir)
            draw_curves([read_run(folder)], folder / PICTURE)
        except Exception as error:  # no picture is worth a training
            print_log(f'{PICTURE} was not drawn: {error}', logger='current', level=logging.WARNING)
