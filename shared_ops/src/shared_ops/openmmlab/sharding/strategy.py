"""MMEngine's way to have its runner train a divided model."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmengine
import torch
from mmengine._strategy import DDPStrategy
from mmengine.device import get_device
from mmengine.dist import is_main_process
from mmengine.model import BaseDataPreprocessor, revert_sync_batchnorm
from mmengine.registry import STRATEGIES
from mmengine.runner import save_checkpoint
from torch import nn

from ...errors import InputError
from ..checkpoint_files import WHOLE_FILES, is_in_store, whole_checkpoint
from .full_state import full_optimizer_state, full_state, load_full_optimizer_state
from .shard import shard

_TYPES = {'bfloat16': torch.bfloat16, 'float16': torch.float16, None: None}


@STRATEGIES.register_module()
class FullyShardStrategy(DDPStrategy):  # type: ignore[misc]
    """Train with :func:`shared_ops.openmmlab.sharding.shard`, on GPUs or CPUs.

    It needs ``runner_type='FlexibleRunner'``. Checkpoints are those of a training in one process or with DDP: a
    training may go on from one with another number of processes, or without this strategy.

    Args:
        param_dtype: ``'bfloat16'`` or ``'float16'``, the type in which weights are gathered and computed with; None
            for their own. There is no loss scaling, which ``'float16'`` may need.
        kwargs: as for MMEngine's ``DDPStrategy``, without ``model_wrapper``: there is none.

    Raises:
        ValueError: another type.
    """

    def __init__(self, *, param_dtype: str | None = None, **kwargs: Any) -> None:
        if param_dtype not in _TYPES:
            raise InputError(f"param_dtype={param_dtype!r} must be 'bfloat16', 'float16' or None")
        super().__init__(**kwargs)
        self.param_dtype = _TYPES[param_dtype]

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        for module in model.modules():
            if isinstance(module, BaseDataPreprocessor):
                module.to(get_device())
        # PyTorch's SyncBatchNorm refuses CPU tensors
        model = revert_sync_batchnorm(model) if get_device() == 'cpu' else self.convert_model(model)
        return shard(model, param_dtype=self.param_dtype)

    def model_state_dict(self) -> dict[str, Any]:
        """Return the whole weights in process 0; all processes have to call it."""
        return full_state(self.model)

    def optim_state_dict(self) -> dict[str, Any]:
        """Return the whole state of the optimizer in process 0; all processes have to call it."""
        return full_optimizer_state(self.optim_wrapper.state_dict())

    def load_optim_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take this process' parts of the whole state of an optimizer."""
        self.optim_wrapper.load_state_dict(load_full_optimizer_state(self.optim_wrapper.optimizer, state_dict))

    def resume(self, filename: str, **kwargs: Any) -> dict[str, Any]:
        """Go on from a checkpoint; from one that was saved before it, where it is not whole.

        Args:
            filename: the checkpoint.
            kwargs: as for ``DDPStrategy``.
        """
        chosen = filename if is_in_store(filename) else whole_checkpoint(Path(filename), Path(filename).parent)
        kwargs['map_location'] = 'cpu'  # it is whole, and may be more than a GPU holds
        checkpoint: dict[str, Any] = super().resume(str(chosen), **kwargs)
        return checkpoint

    def save_checkpoint(
        self,
        filename: str,
        *,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        extra_ckpt: dict[str, Any] | None = None,
        callback: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Gather what is divided, and have process 0 write it; all processes have to call it.

        Args:
            filename: where to.
            save_optimizer: whether to save the state of the optimizer.
            save_param_scheduler: whether to save that of the schedulers.
            extra_ckpt: further entries of the checkpoint; MMEngine adds to its ``'meta'``.
            callback: may change the checkpoint before it is written.
        """
        checkpoint: dict[str, Any] = {'state_dict': self.model_state_dict()}
        if save_optimizer and hasattr(self, 'optim_wrapper'):
            checkpoint['optimizer'] = self.optim_state_dict()
        if not is_main_process():
            return
        if save_param_scheduler and hasattr(self, 'param_schedulers'):
            checkpoint['param_schedulers'] = self.scheduler_state_dict()
        checkpoint.update(extra_ckpt or {})
        now = time.strftime('%Y%m%d_%H%M%S', time.localtime())
        checkpoint.setdefault('meta', {}).update(seed=self.seed, time=now, mmengine_version=mmengine.__version__)
        if callback is not None:
            callback(checkpoint)
        backend = None if is_in_store(filename) else {'backend': WHOLE_FILES}
        save_checkpoint(checkpoint, filename, backend_args=backend)
