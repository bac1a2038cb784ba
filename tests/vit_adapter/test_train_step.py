import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from support.reference import TOLERANCES, Reference, deviations, new_names, too_far
from support.synthetic import synthetic_image, synthetic_labels

REFERENCE = Reference('vit_adapter')
CASES = {case['case']: case for case in REFERENCE.cases('train')}


def data_samples(case):
    samples = []
    for labels in torch.from_numpy(synthetic_labels(**case['input'])):
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=labels[None])
        samples.append(sample)
    return samples


class Draws:
    """Stands for ``torch.rand`` and gives what the original was given; remembers the shapes."""

    def __init__(self, seed):
        self.state = np.random.RandomState(seed)
        self.shapes = []

    def __call__(self, *size, device=None):
        shape = list(size[0] if isinstance(size[0], tuple) else size)
        self.shapes.append(shape)
        return torch.from_numpy(self.state.random_sample(shape))


def remember_matches(patch, matches):
    """Have Mask2Former's matches appended to ``matches``: for every query the number of its mask, from 1, or 0."""
    from shared_ops.openmmlab.mask2former.criterion import MaskCriterion

    match = MaskCriterion.match

    def remembered(self, cls_pred, mask_pred, target):
        queries, masks = match(self, cls_pred, mask_pred, target)
        matches.append([0] * len(cls_pred))
        for query, mask in zip(queries.tolist(), masks.tolist(), strict=True):
            matches[-1][query] = mask + 1
        return queries, masks

    patch.setattr(MaskCriterion, 'match', remembered)


@pytest.fixture(
    scope='module',
    params=[(name, dtype) for name in CASES for dtype in TOLERANCES],
    ids=lambda param: f'{param[0]}-{param[1]}',
)
def step(request):
    """Return a model after one forward and backward of the summed losses, and these losses."""
    name, dtype = request.param
    case = CASES[name]
    size = {key: case['input'][key] for key in ('seed', 'height', 'width', 'batch')}
    model = REFERENCE.model(case, dtype).train()
    draws = Draws(case['input']['seed'])
    matches = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, 'rand', draws)
        if 'assigned_gt_inds' in case:
            remember_matches(patch, matches)
        loss, losses = model.parse_losses(
            model.loss(torch.from_numpy(synthetic_image(**size)).to(dtype), data_samples(case))
        )
    loss.backward()
    return case, model, losses, draws, matches, dtype


def test_losses(step):
    case, _, losses, _, _, dtype = step
    assert {key: value.item() for key, value in losses.items()} == pytest.approx(case['losses'], rel=TOLERANCES[dtype])


def test_random_numbers_are_drawn_in_the_same_order(step):
    case, _, _, draws, _, _ = step
    first = case.get('rand_shapes_first_output', [])
    assert draws.shapes[: len(first)] == first
    assert len(draws.shapes) == case.get('rand_calls', 0)


def test_queries_are_matched_to_the_same_masks(step):
    case, _, _, _, matches, _ = step
    assert matches == case.get('assigned_gt_inds', [])


def test_norm_of_all_gradients(step):
    case, model, _, _, _, dtype = step
    norm = torch.stack([parameter.grad.double().norm() for parameter in model.parameters()]).norm().item()
    assert norm == pytest.approx(case['grad_norm'], rel=TOLERANCES[dtype])


def test_gradients(step):
    case, model, _, _, _, dtype = step
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    by_old_name = {old: gradients[new] for old, new in new_names(case['grads']).items()}
    found = deviations(by_old_name, case['grads'], prefix='grad.')
    assert not too_far(found, case['grads'], dtype)


def test_parameters_without_gradient(step):
    case, model, _, _, _, _ = step
    without = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert without == case['params_without_grad']


def test_running_statistics(step):
    case, model, _, _, _, dtype = step
    found = deviations(dict(model.named_buffers()), case.get('buffers_after', {}), prefix='after.')
    assert max(found.values(), default=0.0) < TOLERANCES[dtype], found
