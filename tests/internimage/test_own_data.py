"""A config for data of one's own, over each of the published ones."""

import math

import pytest

from support.own_data import check_other_data, config_names, draw_data, train_a_step, write_own_config


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return draw_data(tmp_path_factory.mktemp('own') / 'data')


@pytest.mark.parametrize('name', config_names('internimage'))
def test_every_config_takes_other_data(name, data, tmp_path) -> None:
    check_other_data('internimage', name, data, tmp_path / 'own.py')


def test_a_step_on_other_data(data, tmp_path) -> None:
    """SegFormer's head, over a config that starts from another data set's model."""
    name = 'mapillary/segformer_internimage_l_512x1024_80k_mapillary.py'
    config = write_own_config('internimage', name, data, tmp_path / 'own.py', random=True)
    overrides = {
        'model.backbone.channels': 16,
        'model.backbone.depths': [1, 1, 2, 1],
        'model.backbone.groups': [1, 2, 4, 8],
        'model.decode_head.in_channels': [16, 32, 64, 128],
        'model.decode_head.channels': 16,
        'optim_wrapper.paramwise_cfg.num_layers': 5,
    }
    logged = train_a_step(config, overrides)
    assert math.isfinite(logged['loss']) and logged['loss'] > 0
