"""Inputs of the operators, drawn at sizes that are pairwise different so that no two dimensions can be swapped."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

CUDA = pytest.param('cuda', marks=pytest.mark.needs_cuda)


@pytest.fixture(params=['cpu', CUDA])
def device(request: pytest.FixtureRequest) -> str:
    return request.param


def make_inputs(
    device: str = 'cpu',
    dtype: torch.dtype = torch.float64,
    N: int = 2,
    M: int = 3,
    D: int = 5,
    Lq: int = 7,
    P: int = 4,
    shapes: tuple[tuple[int, int], ...] = ((6, 8), (1, 9)),
    requires_grad: bool = False,
) -> SimpleNamespace:
    """Draw arguments of ``ms_deform_attn``; a good part of the points lies outside of the maps."""
    starts = [sum(h * w for h, w in shapes[:level]) for level in range(len(shapes))]
    S = sum(h * w for h, w in shapes)
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    value = torch.randn(N, S, M, D, dtype=torch.float64)
    locations = torch.rand(N, Lq, M, len(shapes), P, 2, dtype=torch.float64) * 1.6 - 0.3
    weights = torch.randn(N, Lq, M, len(shapes) * P, dtype=torch.float64).softmax(-1)
    tensors = [
        tensor.to(device, kind).requires_grad_(requires_grad)
        for tensor, kind in [
            (value, dtype),
            (locations, compute),
            (weights.reshape(N, Lq, M, len(shapes), P), compute),
        ]
    ]
    return SimpleNamespace(
        value=tensors[0],
        spatial_shapes=list(shapes),
        level_start_index=starts,
        sampling_locations=tensors[1],
        attention_weights=tensors[2],
    )


@pytest.fixture(scope='session')
def inputs() -> Callable[..., SimpleNamespace]:
    return make_inputs
