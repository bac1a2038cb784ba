"""Fixtures of the operators' tests."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
import torch

from support.operators import OPERATORS, Operator, make_ms_deform_attn

CUDA = pytest.param('cuda', marks=pytest.mark.needs_cuda)


@pytest.fixture(params=['cpu', CUDA])
def device(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=OPERATORS)
def operator(request: pytest.FixtureRequest) -> Operator:
    return OPERATORS[request.param]


@pytest.fixture(scope='session')
def inputs() -> Callable[..., SimpleNamespace]:
    return make_ms_deform_attn


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)
