"""Losses, gradients and running statistics of one training step are the original's."""

import pytest
import torch

from support.originals import train_step
from support.reference import GRADIENT_TOLERANCES, TOLERANCES, Reference, deviations, too_far

REFERENCE = Reference('vit_comer')
(CASE,) = REFERENCE.cases('train')


@pytest.fixture(scope='module', params=TOLERANCES, ids=str)
def step(request: pytest.FixtureRequest):
    """Return a model after one step, its losses and its type."""
    return *train_step(REFERENCE, CASE, request.param), request.param


def test_losses(step) -> None:
    _, losses, dtype = step
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(CASE['losses'], rel=TOLERANCES[dtype])


def test_norm_of_all_gradients(step) -> None:
    model, _, dtype = step
    norm = torch.stack([parameter.grad.double().norm() for parameter in model.parameters()]).norm().item()
    # the original's own float32 is 1.4e-3 away from its float64
    assert norm == pytest.approx(CASE['grad_norm'], rel=GRADIENT_TOLERANCES[dtype])


def test_gradients(step) -> None:
    model, _, dtype = step
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    found = deviations(gradients, CASE['grads'], prefix='grad.')
    assert not too_far(found, CASE['grads'], dtype)


def test_parameters_without_gradient(step) -> None:
    model, _, _ = step
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == CASE['params_without_grad']


def test_running_statistics(step) -> None:
    model, _, dtype = step
    found = deviations(dict(model.named_buffers()), CASE['buffers_after'], prefix='after.')
    assert max(found.values()) < TOLERANCES[dtype], found
