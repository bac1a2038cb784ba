"""A config for data of one's own, over each of the published ones."""

import pytest

from support.own_data import check_other_data, config_names, draw_data


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return draw_data(tmp_path_factory.mktemp('own') / 'data')


@pytest.mark.parametrize('name', config_names('vit_comer'))
def test_every_config_takes_other_data(name, data, tmp_path) -> None:
    check_other_data('vit_comer', name, data, tmp_path / 'own.py')
