"""The values of the original's configs, which MMSegmentation 0.x spelled otherwise, are those of ours."""

import pytest

from support import originals
from support.reference import Reference

REFERENCE = Reference('vit_comer')
CHECKS = [
    originals.check_normalization,
    originals.check_pipelines,
    originals.check_data,
    originals.check_schedule,
]


@pytest.mark.parametrize('name', REFERENCE.config_names())
@pytest.mark.parametrize('check', CHECKS, ids=[check.__name__ for check in CHECKS])
def test_values(check, name: str) -> None:
    check(REFERENCE.config(name), REFERENCE.of_config('configs', name))


@pytest.mark.parametrize('name', REFERENCE.config_names())
def test_model(name: str) -> None:
    check = originals.check_mask2former_model if 'mask2former' in name else originals.check_plain_vit_model
    check(REFERENCE.config(name), REFERENCE.of_config('configs', name))


def test_there_are_all_four() -> None:
    files = (REFERENCE.folder / 'configs').glob('*.json.gz')
    originals = sorted(path.name.replace('__', '/').replace('.json.gz', '.py') for path in files)
    assert len(originals) == 4 and REFERENCE.config_names() == originals
