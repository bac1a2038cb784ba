"""A config for data of one's own, over each of the published ones."""

import internimage

import pytest
from mmengine.config import Config

from support.own_data import (
    check_heads,
    check_own_config,
    check_samples,
    config_names,
    draw_data,
    write_own_config,
)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return draw_data(tmp_path_factory.mktemp('own') / 'data')


@pytest.mark.parametrize('name', config_names('internimage'))
def test_every_config_takes_other_data(name, data, tmp_path) -> None:
    config = write_own_config('internimage', name, data, tmp_path / 'own.py', checkpoint='published.pth')
    check_own_config(config, Config.fromfile(internimage.CONFIG_DIR / name))
    check_heads(config)
    check_samples(config)
