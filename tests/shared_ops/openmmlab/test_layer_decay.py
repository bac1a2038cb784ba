"""Learning rates by layer, for anything that knows its layers."""

import pytest
import torch
from torch import nn

from shared_ops.openmmlab import prepare

prepare()
from mmengine.optim import build_optim_wrapper  # noqa: E402

from shared_ops.openmmlab.layer_decay import LayerIdDecayOptimizerConstructor  # noqa: E402, F401


class Backbone(nn.Module):
    """An embedding, two layers, an adapter."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(2, 3)
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
        self.adapter = nn.Linear(3, 4)
        self.table = nn.Parameter(torch.ones(1, 5, 3))

    def get_layer_id(self, name: str) -> int:
        if name.startswith(('embed.', 'table')):
            return 0
        return int(name.split('.')[1]) + 1 if name.startswith('layers.') else 3


class Head(nn.Module):
    """Knows its first layer only."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Embedding(2, 4)
        self.conv = nn.Conv2d(4, 6, 1)

    def get_layer_id(self, name: str) -> int | None:
        return 0 if name == 'query.weight' else None


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.decode_head = Head()
        self.auxiliary_head = nn.Conv2d(4, 6, 1)


def optimizer_of(model: nn.Module, **paramwise_cfg: float) -> torch.optim.Optimizer:
    config = dict(
        type='OptimWrapper',
        optimizer=dict(type='AdamW', lr=0.5, weight_decay=0.25),
        constructor='mmseg.LayerIdDecayOptimizerConstructor',
        paramwise_cfg=paramwise_cfg,
    )
    return build_optim_wrapper(model, config).optimizer


def test_rates_and_decay() -> None:
    model = Model()
    model.backbone.layers[1].weight.requires_grad_(False)
    optimizer = optimizer_of(model, num_layers=2, layer_decay_rate=0.5)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {
        names[id(parameter)]: (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for parameter in group['params']
    }
    assert found == {
        'backbone.table': (0.0625, 0.25),
        'backbone.embed.weight': (0.0625, 0.25),
        'backbone.embed.bias': (0.0625, 0.0),
        'backbone.layers.0.weight': (0.125, 0.25),
        'backbone.layers.0.bias': (0.125, 0.0),
        'backbone.layers.1.bias': (0.25, 0.0),
        'backbone.adapter.weight': (0.5, 0.25),
        'backbone.adapter.bias': (0.5, 0.0),
        'decode_head.query.weight': (0.0625, 0.25),
        'decode_head.conv.weight': (0.5, 0.25),
        'decode_head.conv.bias': (0.5, 0.0),
        'auxiliary_head.weight': (0.5, 0.25),
        'auxiliary_head.bias': (0.5, 0.0),
    }


def test_wrong_depth_is_refused() -> None:
    with pytest.raises(ValueError, match=r'backbone\.adapter\.weight belongs to layer 3.*num_layers=1'):
        optimizer_of(Model(), num_layers=1, layer_decay_rate=0.5)


def test_unknown_entries_are_refused() -> None:
    with pytest.raises(ValueError, match='takes num_layers and layer_decay_rate'):
        optimizer_of(Model(), num_layers=2, decay_rate=0.5)
