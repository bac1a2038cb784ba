"""Several processes on a machine without GPU, for which MMEngine makes no provision.

MMEngine sets a CUDA device in every process, hands its index to ``DistributedDataParallel``, and keeps
``SyncBatchNorm``, which refuses CPU tensors in training.
"""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Iterator
from typing import Any

import torch.distributed
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):  # type: ignore[misc]
    """MMEngine's wrapper for a model on the CPU.

    Gradients are averaged over the processes as usual; every ``SyncBatchNorm`` becomes a batch norm that sees the
    pictures of its own process alone.

    Args:
        module: the model.
        device_ids: taken because MMEngine gives it, and left unused: there is no device to name.
        broadcast_buffers: whether process 0's buffers replace the others' before every forward.
        **kwargs: as for ``MMDistributedDataParallel``.
    """

    def __init__(
        self, module: nn.Module, device_ids: list[int] | None = None, broadcast_buffers: bool = False, **kwargs: Any
    ) -> None:
        synchronized = [name for name, child in module.named_modules() if isinstance(child, nn.SyncBatchNorm)]
        if synchronized:
            module = revert_sync_batchnorm(module)
            print_log(
                f'{len(synchronized)} SyncBatchNorm layers became BatchNorm layers: on the CPU every process '
                f'normalises with the statistics of its own pictures',
                logger='current',
                level=logging.WARNING,
            )
        super().__init__(module, device_ids=None, broadcast_buffers=broadcast_buffers, **kwargs)


@contextlib.contextmanager
def cpu_process_group() -> Iterator[None]:
    """Join the processes that ``torchrun`` started, through gloo; MMEngine then leaves the matter alone."""
    torch.distributed.init_process_group('gloo')
    try:
        yield
    finally:
        # A model that is left in a circle of references keeps the group's threads running. One that lets go of a tensor
        # while the interpreter shuts down aborts the process.
        gc.collect()
        torch.distributed.destroy_process_group()


def wrapper_options(config: Config) -> dict[str, Any]:
    """Return the settings that have MMEngine wrap the model in :class:`CPUDistributedDataParallel`.

    A wrapper that the config names is left in place.
    """
    wrapper = config.get('model_wrapper_cfg') or {}
    options: dict[str, Any] = {'model_wrapper_cfg.type': wrapper.get('type', CPUDistributedDataParallel.__name__)}
    if 'find_unused_parameters' in config and 'find_unused_parameters' not in wrapper:
        # MMEngine reads it from the top level only where there is no model_wrapper_cfg
        options['model_wrapper_cfg.find_unused_parameters'] = config.find_unused_parameters
    return options
