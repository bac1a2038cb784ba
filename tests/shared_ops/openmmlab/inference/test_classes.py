"""What the labels of a model mean."""

from types import SimpleNamespace

import numpy as np
from mmengine.config import Config

from shared_ops.openmmlab.inference.classes import classes_of


def config(**dataset) -> Config:
    return Config(dict(test_dataloader=dict(dataset=dataset)))


def model(number: int, **meta) -> SimpleNamespace:
    return SimpleNamespace(num_classes=number, dataset_meta=meta)


def test_the_data_set_of_the_config_names_them() -> None:
    classes = classes_of(model(150, classes=['x'] * 150, palette=None), config(type='ADE20KDataset'))
    assert classes.names[:2] == ['wall', 'building']
    assert classes.palette[0].tolist() == [120, 120, 120]


def test_its_own_names_go_before_those_of_its_type() -> None:
    meta = dict(classes=('a', 'b'), palette=[[1, 2, 3], [4, 5, 6]])
    nested = dict(type='ADE20KDataset', metainfo=meta)
    for dataset in (nested, dict(type='RepeatDataset', times=2, dataset=nested)):
        classes = classes_of(model(2), config(**dataset))
        assert classes.names == ['a', 'b']
        assert classes.palette.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_the_checkpoint_counts_where_the_config_has_another_number() -> None:
    checkpoint = dict(classes=('a', 'b', 'c'), palette=[[1, 1, 1], [2, 2, 2], [3, 3, 3]])
    assert classes_of(model(3, **checkpoint), config(type='ADE20KDataset')).names == ['a', 'b', 'c']


def test_numbers_where_nothing_fits() -> None:
    for settings in (config(type='ADE20KDataset'), Config(dict())):
        classes = classes_of(model(300), settings)
        assert classes.names[299] == 'class 299'
        assert classes.palette.shape == (300, 3)
        assert classes.palette.dtype == np.uint8
    first = classes.palette[:20].tolist()
    assert len({tuple(color) for color in first}) == 20


def test_names_without_colors() -> None:
    classes = classes_of(model(2), config(type='BaseSegDataset', metainfo=dict(classes=('a', 'b'))))
    assert classes.names == ['a', 'b']
    assert classes.palette.shape == (2, 3)
