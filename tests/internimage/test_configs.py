"""The values of the original's configs, which MMSegmentation 0.x spelled otherwise, are those of ours."""

import pytest

from support.config_values import CHECKS
from support.reference import Reference

REFERENCE = Reference('internimage')


def test_there_are_all_28() -> None:
    files = (REFERENCE.folder / 'configs').glob('*.json.gz')
    originals = sorted(path.name.replace('__', '/').replace('.json.gz', '.py') for path in files)
    assert len(originals) == 28 and REFERENCE.config_names() == originals


@pytest.mark.parametrize('name', REFERENCE.config_names())
@pytest.mark.parametrize('check', CHECKS, ids=[check.__name__ for check in CHECKS])
def test_values(check, name: str) -> None:
    check(REFERENCE.config(name), REFERENCE.of_config('configs', name))
