import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS

from support.reference import Reference, build, new_names

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
    names = new_names([key for key, *_ in original['groups']])
    originals = {
        names[key]: (pytest.approx(lr, rel=1e-12), weight_decay) for key, lr, weight_decay in original['groups']
    }
    assert ours == originals
    for group in optimizer.param_groups:
        assert list(group['betas']) == original['betas']
        assert group['eps'] == original['eps']
    assert all(parameter.requires_grad for parameter in model.parameters()) and not original['frozen']


@pytest.fixture(scope='module')
def factors():
    """Return what the learning rate is multiplied by in an iteration, by schedule and iteration.

    The configs share three schedules; an optimizer with one parameter steps through each.
    """
    iterations = {int(i) for name in NAMES for i in REFERENCE.of_config('optim', name)['lr_at']['values']}
    found = {}
    for max_iters in (40000, 80000, 160000):
        config = next(c for c in map(REFERENCE.config, NAMES) if c.train_cfg.max_iters == max_iters)
        optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedulers = [PARAM_SCHEDULERS.build({**entry, 'optimizer': optimizer}) for entry in config.param_scheduler]
        rates = found[str(config.param_scheduler)] = {}
        for iteration in range(max_iters + 1):
            if iteration in iterations:
                rates[iteration] = optimizer.param_groups[0]['lr']
            optimizer.step()
            for scheduler in schedulers:
                scheduler.step()
    return found


@pytest.mark.parametrize('name', NAMES)
def test_learning_rate_of_every_iteration(name, factors):
    config = REFERENCE.config(name)
    originals = REFERENCE.of_config('optim', name)['lr_at']['values']
    curve = factors[str(config.param_scheduler)]
    ours = {iteration: curve[int(iteration)] * config.optim_wrapper.optimizer.lr for iteration in originals}
    assert ours == {iteration: pytest.approx(lr, rel=1e-10) for iteration, lr in originals.items()}
    assert max(map(int, originals)) in (config.train_cfg.max_iters - 1, config.train_cfg.max_iters)
