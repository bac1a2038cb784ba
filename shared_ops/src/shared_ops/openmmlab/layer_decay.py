"""Layer-wise learning rates (BEiT, https://arxiv.org/abs/2106.08254, appendix H)."""

from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from ..errors import InputError


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerIdDecayOptimizerConstructor(DefaultOptimWrapperConstructor):  # type: ignore[misc]
    """Multiply the learning rate by ``layer_decay_rate`` for every layer below the last.

    A part of the model that has ``get_layer_id(name)`` says which layer a parameter belongs to; the other parts, and
    parameters for which it returns None, belong to the last one. The rate of layer i of L is
    ``lr * layer_decay_rate ** (L - 1 - i)``. Biases and vectors are not decayed. Original:
    ``LayerDecayOptimizerConstructor`` (layer_decay_optimizer_constructor.py), under whose name MMSegmentation has
    another class.

    Its ``paramwise_cfg`` holds ``num_layers``, the depth of the trunk (L is two more: embeddings and adapter have
    layers of their own), and ``layer_decay_rate``.
    """

    def add_params(self, params: list[dict[str, Any]], module: nn.Module, **_: Any) -> None:
        """Add the groups of ``module``'s parameters to ``params``, one for every layer, decayed or not.

        Raises:
            ValueError: ``paramwise_cfg`` has other entries, or a parameter lies outside of ``num_layers``.
        """
        if set(self.paramwise_cfg) != {'num_layers', 'layer_decay_rate'}:
            raise InputError(
                f'paramwise_cfg has {sorted(self.paramwise_cfg)}, but this constructor takes num_layers and '
                f'layer_decay_rate'
            )
        num_layers = self.paramwise_cfg['num_layers'] + 2
        layer_decay_rate = self.paramwise_cfg['layer_decay_rate']
        groups: dict[tuple[int, bool], dict[str, Any]] = {}
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            layer_id = self._layer_id(module, name, num_layers)
            decayed = self.is_decayed(name, parameter)
            group = groups.setdefault(
                (layer_id, decayed),
                {
                    'params': [],
                    'lr': self.base_lr * layer_decay_rate ** (num_layers - 1 - layer_id),
                    'weight_decay': self.base_wd if decayed else 0.0,
                },
            )
            group['params'].append(parameter)
        params.extend(groups[key] for key in sorted(groups))

    def is_decayed(self, name: str, parameter: nn.Parameter) -> bool:
        """Return whether weight decay applies to a parameter."""
        return parameter.dim() > 1 and not name.endswith('.bias')

    @staticmethod
    def _layer_id(model: nn.Module, name: str, num_layers: int) -> int:
        part, _, rest = name.partition('.')
        get_layer_id = getattr(getattr(model, part), 'get_layer_id', None)
        layer_id: int | None = None if get_layer_id is None else get_layer_id(rest)
        if layer_id is None:
            return num_layers - 1
        if not 0 <= layer_id < num_layers:
            raise InputError(
                f'{name} belongs to layer {layer_id}, but paramwise_cfg has num_layers={num_layers - 2}; '
                f"num_layers must be the depth of the model's trunk"
            )
        return layer_id
