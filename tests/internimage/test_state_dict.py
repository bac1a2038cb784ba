"""State-dict keys, shapes and numbers of parameters are the original's."""

import pytest

from support.originals import check_state_dict, check_strict_loading
from support.reference import Reference

REFERENCE = Reference('internimage')


@pytest.mark.parametrize('name', REFERENCE.config_names())
def test_keys_and_shapes_are_the_originals(name: str) -> None:
    check_state_dict(REFERENCE, name)


@pytest.mark.parametrize('name', REFERENCE.config_names())
def test_loads_strictly(name: str) -> None:
    check_strict_loading(REFERENCE, name, without='backbone.levels.2.blocks.3.dcn.dw_conv.1.1.bias')


@pytest.mark.parametrize(
    ('name', 'millions'),
    [
        ('ade20k/upernet_internimage_t_512_160k_ade20k.py', 59),
        ('ade20k/upernet_internimage_xl_640_160k_ade20k.py', 368),
        ('ade20k/mask2former_internimage_h_896_80k_cocostuff2ade20k_ss.py', 1310),
    ],
)
def test_numbers_of_the_paper(name: str, millions: int) -> None:
    assert round(REFERENCE.of_config('manifests', name)['num_params'] / 1e6, -1 if millions > 1000 else 0) == millions
