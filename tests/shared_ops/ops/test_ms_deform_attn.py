"""What ms_deform_attn computes, by definition, and how its levels are laid out."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import shared_ops
from support.operators import OPERATORS, assert_all_near, assert_near, forward_and_gradients

OPERATOR = OPERATORS['ms_deform_attn']
IMPLEMENTATIONS = OPERATOR.implementations


def by_definition(arguments: Any) -> Tensor:
    """Equation 3 of https://arxiv.org/abs/2010.04159, one scalar after another."""
    value, locations, weights = (
        tensor.detach().double().cpu().numpy()
        for tensor in (arguments.value, arguments.sampling_locations, arguments.attention_weights)
    )
    N, Lq, M, _, P, _ = locations.shape
    D = value.shape[3]
    output = np.zeros((N, Lq, M * D))

    def pixel(n: int, level: int, row: int, column: int, m: int, d: int) -> float:
        h, w = arguments.spatial_shapes[level]
        if not (0 <= row < h and 0 <= column < w):
            return 0.0
        return value[n, arguments.level_start_index[level] + row * w + column, m, d]

    for n, q, m, d in np.ndindex(N, Lq, M, D):
        for level, (h, w) in enumerate(arguments.spatial_shapes):
            for p in range(P):
                x, y = locations[n, q, m, level, p] * (w, h) - 0.5
                left, top = math.floor(x), math.floor(y)
                for row in (top, top + 1):
                    for column in (left, left + 1):
                        share = (1 - abs(y - row)) * (1 - abs(x - column))
                        sample = share * pixel(n, level, row, column, m, d)
                        output[n, q, m * D + d] += weights[n, q, m, level, p] * sample
    return torch.from_numpy(output)


@pytest.mark.parametrize('implementation', IMPLEMENTATIONS)
@pytest.mark.parametrize(
    'sizes',
    [
        {},
        {'N': 1, 'M': 1, 'D': 33, 'Lq': 2, 'P': 3},
        {'N': 33, 'M': 2, 'D': 3, 'Lq': 1, 'P': 4, 'shapes': ((5, 2),)},
        {'N': 65, 'M': 1, 'D': 2, 'Lq': 3, 'P': 1, 'shapes': ((1, 1), (2, 3), (4, 1))},
    ],
    ids=['all_different', 'many_channels', 'batch_33', 'batch_65'],
)
def test_definition(implementation: str, sizes: dict[str, Any], device: str, inputs) -> None:
    arguments = inputs(device, **sizes)
    assert_near(IMPLEMENTATIONS[implementation](**vars(arguments)).cpu(), by_definition(arguments))


def test_what_lies_outside_of_a_level_is_not_read(inputs) -> None:
    """Neither the neighbouring level nor the next head leaks in: they are NaN here."""
    arguments = inputs(shapes=((3, 4), (2, 5), (1, 7)))
    arguments.value[:, :12] = math.nan
    arguments.value[:, 22:] = math.nan
    arguments.value[:, :, 1] = math.nan
    for level in (0, 2):
        arguments.sampling_locations[:, :, :, level] = -9.0
    for function in IMPLEMENTATIONS.values():
        output = function(**vars(arguments)).reshape(2, 7, 3, 5)
        assert output[:, :, [0, 2]].isfinite().all()


def test_tensors_may_give_the_layout(device: str, inputs) -> None:
    """The ecosystem passes spatial_shapes and level_start_index as tensors."""
    arguments = inputs(device)
    wanted = shared_ops.ms_deform_attn(**vars(arguments))
    arguments.spatial_shapes = torch.tensor(arguments.spatial_shapes, device=device)
    arguments.level_start_index = torch.tensor(arguments.level_start_index, device=device)
    assert torch.equal(shared_ops.ms_deform_attn(**vars(arguments)), wanted)
    arguments.spatial_shapes = np.array([(6, 8), (1, 9)])
    assert torch.equal(shared_ops.ms_deform_attn(**vars(arguments)), wanted)


def test_levels_may_overlap(inputs) -> None:
    """level_start_index is believed, as long as every level lies within value."""
    arguments = inputs()
    arguments.level_start_index = [9, 5]
    wanted = forward_and_gradients(OPERATOR, arguments, OPERATOR.reference)
    assert_all_near(forward_and_gradients(OPERATOR, arguments), wanted)
