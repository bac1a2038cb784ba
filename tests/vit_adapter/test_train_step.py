import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from support.reference import GRADIENT_TOLERANCES, TOLERANCES, Reference, deviations
from support.synthetic import synthetic_image, synthetic_labels

REFERENCE = Reference('vit_adapter')
CASE = REFERENCE.cases('train')[0]


def data_samples():
    samples = []
    for labels in torch.from_numpy(synthetic_labels(**CASE['input'])):
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=labels[None])
        samples.append(sample)
    return samples


@pytest.fixture(scope='module', params=TOLERANCES, ids=str)
def step(request):
    """Return a model after one forward and backward of the summed losses, and these losses."""
    size = {key: CASE['input'][key] for key in ('seed', 'height', 'width', 'batch')}
    model = REFERENCE.model(CASE, request.param).train()
    loss, losses = model.parse_losses(
        model.loss(torch.from_numpy(synthetic_image(**size)).to(request.param), data_samples())
    )
    loss.backward()
    return model, losses, request.param


def test_losses(step):
    _, losses, dtype = step
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(CASE['losses'], rel=TOLERANCES[dtype])


def test_norm_of_all_gradients(step):
    model, _, dtype = step
    norm = torch.stack([parameter.grad.double().norm() for parameter in model.parameters()]).norm().item()
    assert norm == pytest.approx(CASE['grad_norm'], rel=TOLERANCES[dtype])


def test_gradients(step):
    model, _, dtype = step
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    found = deviations(gradients, CASE['grads'], prefix='grad.')
    assert max(found.values()) < GRADIENT_TOLERANCES[dtype], found


def test_parameters_without_gradient(step):
    model, _, _ = step
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == CASE['params_without_grad']


def test_running_statistics(step):
    model, _, dtype = step
    found = deviations(dict(model.named_buffers()), CASE['buffers_after'], prefix='after.')
    assert max(found.values()) < TOLERANCES[dtype], found
