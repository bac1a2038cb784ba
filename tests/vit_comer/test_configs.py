"""The values of the original's configs, which MMSegmentation 0.x spelled otherwise, are those of ours."""

import pytest

from support import originals
from support.reference import Reference

REFERENCE = Reference('vit_comer')
CHECKS = [
    originals.check_plain_vit_model,
    originals.check_normalization,
    originals.check_pipelines,
    originals.check_data,
    originals.check_schedule,
]


@pytest.mark.parametrize('name', REFERENCE.config_names())
@pytest.mark.parametrize('check', CHECKS, ids=[check.__name__ for check in CHECKS])
def test_values(check, name: str) -> None:
    check(REFERENCE.config(name), REFERENCE.of_config('configs', name))
