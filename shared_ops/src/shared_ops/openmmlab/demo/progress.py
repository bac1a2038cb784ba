"""Training with a progress bar in place of a flood of log lines."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@dataclass
class Curves:
    """What training went through, by iteration (counted from 1)."""

    losses: list[float] = field(default_factory=list)  # one for every iteration
    evaluated_at: list[int] = field(default_factory=list)
    mean_ious: list[float] = field(default_factory=list)  # percent, one for every entry of evaluated_at


class ProgressHook(Hook):  # type: ignore[misc]
    """Record loss and mIoU, and show them on the console."""

    priority = 'LOW'

    def __init__(self, progress: Progress) -> None:
        self.curves = Curves()
        self.progress = progress
        self.task = progress.add_task('training', total=None, state='')

    def before_train(self, runner: Runner) -> None:
        """Learn how long training is."""
        self.progress.update(self.task, total=runner.max_iters)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Record the loss of the step."""
        self.curves.losses.append(float(outputs['loss']))
        self.progress.update(self.task, advance=1, state=f'loss {self.curves.losses[-1]:.3f}')

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Record the mIoU and print a line, which stays where the output is no terminal."""
        assert metrics is not None
        self.curves.evaluated_at.append(runner.iter)
        self.curves.mean_ious.append(float(metrics['mIoU']))
        window: Sequence[float] = self.curves.losses[-20:]
        self.progress.console.print(
            f'  iteration {runner.iter:4d} of {runner.max_iters}:'
            f'  loss {sum(window) / len(window):.3f}'
            f'  mIoU {self.curves.mean_ious[-1]:5.1f} on held-back scenes',
            highlight=False,
        )


def train(config: Config, console: Console) -> tuple[Runner, Curves]:
    """Train and evaluate as the config says; everything that is logged goes to the log file alone."""
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn('{task.fields[state]}'),
        TimeRemainingColumn(),
    )
    with _quiet(), Progress(*columns, console=console) as progress:
        runner = _build_runner(config)
        hook = ProgressHook(progress)
        runner.register_hook(hook)
        runner.train()
    return runner, hook.curves


def _build_runner(config: Config) -> Runner:
    # The logger binds the stream that it finds when it is made, and logs the whole config at once.
    # MMSegmentation prints debugging lines when its data sets are imported.
    with contextlib.redirect_stdout(io.StringIO()):
        importlib.import_module('mmseg.datasets')
        runner = Runner.from_cfg(config)
    for handler in runner.logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.setStream(sys.stderr)
            handler.setLevel(logging.ERROR)
    return runner


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield
