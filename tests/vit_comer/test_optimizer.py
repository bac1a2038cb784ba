"""Learning rates and weight decay are the original's."""

import pytest

from support.originals import check_learning_rates, check_optimizer
from support.reference import Reference

REFERENCE = Reference('vit_comer')
NAMES = REFERENCE.config_names('ade20k')


@pytest.mark.parametrize('name', NAMES)
def test_learning_rate_and_weight_decay_of_every_parameter(name: str) -> None:
    check_optimizer(REFERENCE, name)


def test_learning_rate_of_every_iteration() -> None:
    check_learning_rates(REFERENCE, NAMES)
