"""Dividing a model among processes, block by block."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from ...errors import InputError, StateError
from .blocks import BLOCKS, is_block

_BATCH_NORMS = nn.modules.batchnorm._BatchNorm


def shard(model: nn.Module, mesh: DeviceMesh | None = None, *, param_dtype: torch.dtype | None = None) -> nn.Module:
    """Divide a model's weights among the processes, in place (PyTorch's ``fully_shard``).

    Every block is gathered where it is computed and let go after that. The model keeps its class, the names of its
    parameters and its methods; its parameters become ``DTensor``. State dicts with whole tensors, under the originals'
    names or ours, are still loaded by ``load_state_dict``; :func:`full_state` is the way back.

    Args:
        model: a segmentor, or a backbone, with its initial weights, equal in all processes. What is computed has to
            begin with its ``forward``.
        mesh: the processes; all of them, if None.
        param_dtype: the type in which weights are gathered and computed with, such as ``torch.bfloat16``; the weights
            themselves, what the optimizer does, sums of gradients, batch norms and losses keep theirs. None for the
            weights' own.

    Returns:
        ``model``.

    Raises:
        ValueError: no block of ours is in ``model``.
        RuntimeError: there is no process group.
    """
    if not torch.distributed.is_initialized():
        raise StateError(
            'sharding needs a process group, and there is none: start the program with torchrun and call '
            'torch.distributed.init_process_group first'
        )
    blocks = [module for module in model.modules() if is_block(module)]
    if not blocks:
        raise InputError(
            f'{type(model).__name__} has none of the blocks that are sharded one by one, {", ".join(sorted(BLOCKS))}; '
            f'use torch.distributed.fsdp.fully_shard for other models'
        )
    if mesh is None:
        device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device('cpu')
        assert device is not None
        mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    if param_dtype is not None:
        _shard_exceptions(model, mesh, param_dtype)
    # positions and masks that a block is given beside the tokens keep their type: it is the model's input that is cast
    inner = MixedPrecisionPolicy(param_dtype=param_dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    outer = MixedPrecisionPolicy(param_dtype=param_dtype, reduce_dtype=torch.float32)
    if param_dtype is None:
        inner = outer = MixedPrecisionPolicy()
    for block in reversed(blocks):  # those inside of others first
        fully_shard(block, mesh=mesh, mp_policy=inner)
    fully_shard(model, mesh=mesh, mp_policy=outer)
    for module in model.modules():
        if any(isinstance(parameter, DTensor) for parameter in module.parameters(recurse=False)):
            module.register_load_state_dict_pre_hook(_take_own_part)  # type: ignore[no-untyped-call]
    return model


def _shard_exceptions(model: nn.Module, mesh: DeviceMesh, param_dtype: torch.dtype) -> None:
    # a batch norm takes images of any type, if its weights have that of its statistics
    norm = MixedPrecisionPolicy(output_dtype=param_dtype, cast_forward_inputs=False)
    # and losses are computed in float32, from the scores of the last layer of MMSegmentation's heads
    scores = MixedPrecisionPolicy(param_dtype, torch.float32, torch.float32, cast_forward_inputs=False)
    for name, module in model.named_modules():
        if isinstance(module, _BATCH_NORMS) and module.affine:
            fully_shard(module, mesh=mesh, mp_policy=norm)
        elif name.endswith('.conv_seg') and any(True for _ in module.parameters()):
            fully_shard(module, mesh=mesh, mp_policy=scores)


def _take_own_part(module: nn.Module, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
    """Replace whole tensors by this process' parts of them, after the hooks that rename or resize tensors."""
    for name, parameter in module.named_parameters(recurse=False):
        whole = state_dict.get(prefix + name)
        if (
            isinstance(parameter, DTensor)
            and isinstance(whole, torch.Tensor)
            and not isinstance(whole, DTensor)
            and whole.shape == parameter.shape
        ):
            # every process has read the file, so that nothing has to be sent
            state_dict[prefix + name] = distribute_tensor(
                whole.detach(), parameter.device_mesh, parameter.placements, src_data_rank=None
            )
