"""Learning rates and weight decay are the original's."""

import pytest

from support.originals import check_learning_rates, check_optimizer
from support.reference import Reference

REFERENCE = Reference('internimage')
NAMES = REFERENCE.config_names()


@pytest.mark.parametrize('name', NAMES)
def test_learning_rate_and_weight_decay_of_every_parameter(name: str) -> None:
    check_optimizer(REFERENCE, name)


@pytest.mark.parametrize('iterations', ['40k', '80k', '160k'])
def test_learning_rate_of_every_iteration(iterations: str) -> None:
    names = [name for name in NAMES if f'_{iterations}_' in name]
    assert names
    check_learning_rates(REFERENCE, names)
