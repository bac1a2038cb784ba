"""Training that goes on after a break as if there had been none."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

# More iterations than any training has, so that no two processes have a seed in common.
_ITERATIONS = 10**8


@HOOKS.register_module()
class IterationSeedHook(Hook):  # type: ignore[misc]
    """Draw the random numbers of every iteration from a seed of its own.

    A training that is resumed then drops the same activations and paths as it would have without the break. MMEngine
    starts its random numbers anew, and where the config sets no seed, the order of the pictures too. Here that order is
    taken up from the seed that the checkpoint states.

    Augmentations go on as well where pictures are loaded in the training process itself (``num_workers=0``); worker
    processes begin theirs anew. MMEngine 0.10.7 loads pictures to skip them, which advances augmentations.
    """

    def before_train(self, runner: Runner) -> None:
        """Take up the order of the pictures, and seed the augmentations of the first batch."""
        sampler = runner.train_dataloader.sampler
        if runner.iter > 0 and hasattr(sampler, 'seed'):
            sampler.seed = runner.seed  # it has not been asked for a picture yet
        _seed_augmentations(_seed(runner, runner.iter))

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seed what the model draws."""
        torch.manual_seed(_seed(runner, runner.iter))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Seed the augmentations of the next batch, which is loaded right after."""
        _seed_augmentations(_seed(runner, runner.iter + 1))


def _seed(runner: Runner, iteration: int) -> int:
    return int(runner.seed) + get_rank() * _ITERATIONS + iteration


def _seed_augmentations(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (the generator that the augmentations draw from)
