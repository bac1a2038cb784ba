"""Training in bfloat16, on a GPU or a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):  # type: ignore[misc]
    """MMEngine's ``OptimWrapper``, whose forward runs under PyTorch's autocast in bfloat16.

    Activations take half the memory; weights and gradients stay in float32. bfloat16 has float32's range, so nothing is
    scaled and nothing overflows. MMEngine's ``AmpOptimWrapper`` does the like on GPUs alone. The arguments are those
    of ``OptimWrapper``; change an existing config with ``optim_wrapper.type=Bfloat16OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enter the context of the forward of ``model``."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
