"""State-dict keys, shapes and numbers of parameters are the original's."""

import pytest

from support.originals import check_state_dict, check_strict_loading
from support.reference import Reference

REFERENCE = Reference('vit_comer')
NAMES = REFERENCE.config_names('ade20k')


@pytest.mark.parametrize('name', NAMES)
def test_keys_and_shapes_are_the_originals(name: str) -> None:
    check_state_dict(REFERENCE, name)
    assert len(REFERENCE.of_config('manifests', name)['keys']) == 752


@pytest.mark.parametrize('name', NAMES)
def test_loads_strictly(name: str) -> None:
    check_strict_loading(REFERENCE, name)


def test_there_are_three_originals() -> None:
    assert len(NAMES) == 3
