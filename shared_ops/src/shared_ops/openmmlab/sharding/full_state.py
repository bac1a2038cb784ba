"""State dicts with whole tensors, as one process would have them, of a model that is divided among several."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from ...errors import InputError


def full_state(model: nn.Module) -> dict[str, Any]:
    """Return ``model.state_dict()`` with whole tensors on the CPU; all processes have to call it.

    Returns:
        The state dict in process 0, an empty one in the others, which need the memory for other things.
    """
    state_dict = model.state_dict()
    gathered = OrderedDict(_gather(state_dict))
    gathered._metadata = getattr(state_dict, '_metadata', {})  # type: ignore[attr-defined]
    return gathered


def full_optimizer_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an optimizer's ``state_dict()`` with whole tensors on the CPU; all processes have to call it.

    Args:
        state: what ``state_dict()`` of the optimizer, or of MMEngine's wrapper of it, returned.

    Returns:
        What the optimizer of the undivided model would have, in process 0; nothing in the others.
    """
    return _gather(state)


def load_full_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return an optimizer's state with the parts that this process has, ready for ``load_state_dict``.

    Args:
        optimizer: that of the divided model.
        state: of the undivided model's optimizer, the same in all processes.

    Raises:
        ValueError: ``state`` is of an optimizer with other groups of parameters.
    """
    saved = [number for group in state['param_groups'] for number in group['params']]
    parameters = [parameter for group in optimizer.param_groups for parameter in group['params']]
    if len(saved) != len(parameters):
        raise InputError(
            f'the state is of an optimizer of {len(saved)} parameters, but this one has {len(parameters)}; resume with '
            f'the config that the checkpoint was made with'
        )
    own = dict(state['state'])
    for number, parameter in zip(saved, parameters, strict=True):
        if isinstance(parameter, DTensor) and number in own:
            own[number] = {name: _part(value, parameter) for name, value in own[number].items()}
    return {**state, 'state': own}


def _part(value: Any, parameter: DTensor) -> Any:
    if not isinstance(value, torch.Tensor) or value.shape != parameter.shape:
        return value  # a count of steps
    return distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)


def _gather(tree: Any) -> Any:
    """Gather what is divided, tensor by tensor, and keep it in process 0 alone."""
    keeps = torch.distributed.get_rank() == 0
    if isinstance(tree, Mapping):
        gathered = {key: _gather(value) for key, value in tree.items()}
        return gathered if keeps else {}
    if isinstance(tree, (list, tuple)):
        return type(tree)([_gather(value) for value in tree])
    if isinstance(tree, DTensor):
        tree = tree.full_tensor()
    if isinstance(tree, torch.Tensor):
        return tree.detach().cpu() if keeps else None
    return tree
