"""Losses, gradients and running statistics of one training step are the original's."""

import pytest
import torch

from support.originals import train_step
from support.reference import GRADIENT_TOLERANCES, TOLERANCES, Reference, deviations, new_names
from support.synthetic import synthetic_image, synthetic_labels

REFERENCE = Reference('internimage')
CASES = {case['case']: case for case in REFERENCE.cases('train')}


def image_and_labels(case: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a case was computed with; Mask2Former's label maps have nine classes each."""
    size = {key: case['input'][key] for key in ('seed', 'height', 'width', 'batch')}
    labels = torch.from_numpy(synthetic_labels(**size, num_classes=case['input']['num_classes']))
    if 'targets' in case['input']:
        labels = torch.where(labels == 255, labels, labels % 9)
    return torch.from_numpy(synthetic_image(**size)), labels


@pytest.fixture(
    scope='module',
    params=[(name, dtype) for name in CASES for dtype in TOLERANCES],
    ids=lambda param: f'{param[0]}-{param[1]}',
)
def step(request: pytest.FixtureRequest):
    """Return the case, a model after one step, the image, the losses, their type, and the random numbers' shapes."""
    name, dtype = request.param
    case = CASES[name]
    image, labels = image_and_labels(case)
    image = image.to(dtype).requires_grad_()
    shapes, rand = [], torch.rand

    def remember(*size, **options):
        shapes.append(list(size[0] if isinstance(size[0], tuple) else size))
        return rand(*size, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, 'rand', remember)
        model, losses = train_step(REFERENCE, case, dtype, image, labels)
    return case, model, image, losses, dtype, shapes


def test_losses(step) -> None:
    case, _, _, losses, dtype, _ = step
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(case['losses'], rel=TOLERANCES[dtype])


def test_random_numbers_are_drawn_in_the_same_order(step) -> None:
    case, *_, shapes = step
    assert shapes == case.get('rand_calls_in_order', [])


def test_norm_of_all_gradients(step) -> None:
    case, model, _, _, dtype, _ = step
    norm = torch.stack([parameter.grad.double().norm() for parameter in model.parameters()]).norm().item()
    assert norm == pytest.approx(case['grad_norm'], rel=TOLERANCES[dtype])


def test_gradients(step) -> None:
    case, model, image, _, dtype, _ = step
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    by_old_name = {old: gradients.get(new) for old, new in new_names(case['grads']).items()}
    found = deviations({**by_old_name, 'input': image.grad}, case['grads'])
    assert max(found.values()) < GRADIENT_TOLERANCES[dtype], found


def test_parameters_without_gradient(step) -> None:
    case, model, *_ = step
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == case['params_without_grad']


def test_running_statistics(step) -> None:
    case, model, _, _, dtype, _ = step
    found = deviations(dict(model.named_buffers()), case.get('buffers_after', {}))
    assert max(found.values(), default=0.0) < TOLERANCES[dtype], found
