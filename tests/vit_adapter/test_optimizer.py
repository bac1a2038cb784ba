import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

from support.reference import Reference, build

REFERENCE = Reference('vit_adapter')
NAMES = REFERENCE.config_names()


@pytest.mark.parametrize('name', NAMES)
def test_learning_rate_and_weight_decay_of_every_parameter(name):
    config = REFERENCE.config(name)
    model = build(config, device='meta')
    optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
    original = REFERENCE.of_config('optim', name)

    assert type(optimizer).__name__ == original['type']
    settings = {
        id(parameter): (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for parameter in group['params']
    }
    ours = {key: settings.pop(id(parameter)) for key, parameter in model.named_parameters()}
    assert not settings
    originals = {key: (pytest.approx(lr, rel=1e-12), weight_decay) for key, lr, weight_decay in original['groups']}
    assert ours == originals
    for group in optimizer.param_groups:
        assert list(group['betas']) == original['betas']
        assert group['eps'] == original['eps']
    assert all(parameter.requires_grad for parameter in model.parameters()) and not original['frozen']


@pytest.fixture(scope='module')
def curves():
    """Return every config's learning rate in each iteration at which the original's is known.

    The configs share their schedule, so one optimizer with a parameter per config steps through all iterations.
    """
    configs = {name: REFERENCE.config(name) for name in NAMES}
    schedules = [config.param_scheduler for config in configs.values()]
    assert all(schedule == schedules[0] for schedule in schedules)

    optimizer = torch.optim.AdamW(
        [{'params': torch.nn.Parameter(torch.zeros(1)), 'lr': c.optim_wrapper.optimizer.lr} for c in configs.values()]
    )
    schedulers = [PARAM_SCHEDULERS.build({**entry, 'optimizer': optimizer}) for entry in schedules[0]]
    iterations = {int(i) for name in NAMES for i in REFERENCE.of_config('optim', name)['lr_at']['values']}
    rates = {name: {} for name in NAMES}
    for iteration in range(max(iterations) + 1):
        if iteration in iterations:
            for name, group in zip(NAMES, optimizer.param_groups, strict=True):
                rates[name][iteration] = group['lr']
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return rates


@pytest.mark.parametrize('name', NAMES)
def test_learning_rate_of_every_iteration(name, curves):
    originals = REFERENCE.of_config('optim', name)['lr_at']['values']
    assert curves[name] == {int(iteration): pytest.approx(lr, rel=1e-10) for iteration, lr in originals.items()}
