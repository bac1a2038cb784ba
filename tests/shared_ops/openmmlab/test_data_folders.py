"""Missing data is found before a model is built."""

from pathlib import Path

import pytest
from mmengine.config import Config

from shared_ops.openmmlab.data_folders import check_data


def config(**dataset) -> Config:
    return Config(dict(train_dataloader=dict(dataset=dict(type='SomeDataset', **dataset))))


def test_folders_that_are_there(tmp_path: Path) -> None:
    (tmp_path / 'images').mkdir()
    for settings in (
        config(data_root=str(tmp_path), data_prefix=dict(img_path='images')),
        config(data_prefix=dict(img_path=str(tmp_path / 'images'), seg_map_path=None)),
        config(),
        Config(dict()),
        Config(dict(train_dataloader=None)),
    ):
        check_data(settings, 'train_dataloader')


def test_a_missing_folder_is_named_with_what_is_there(tmp_path: Path) -> None:
    settings = config(data_root=str(tmp_path / 'data' / 'set'), data_prefix=dict(img_path='images'))
    message = rf"SomeDataset expects img_path in .*data/set/images, but there is no 'data' in {tmp_path}"
    with pytest.raises(FileNotFoundError, match=message) as refused:
        check_data(settings, 'train_dataloader')
    assert '--cfg-options train_dataloader.dataset.data_root=FOLDER' in str(refused.value)
    with pytest.raises(FileNotFoundError, match=message):
        check_data(
            config(
                dataset=dict(
                    type='SomeDataset', data_root=str(tmp_path / 'data/set'), data_prefix={'img_path': 'images'}
                )
            ),
            'train_dataloader',
        )


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / 'images').touch()
    with pytest.raises(FileNotFoundError, match='that is no folder'):
        check_data(config(data_root=str(tmp_path), data_prefix=dict(img_path='images')), 'train_dataloader')


def test_what_lies_elsewhere_is_not_looked_for() -> None:
    check_data(config(data_root='s3://bucket', data_prefix=dict(img_path='images')), 'train_dataloader')
    check_data(
        config(data_prefix=dict(img_path='images'), backend_args=dict(backend='petrel')),
        'train_dataloader',
    )


@pytest.mark.parametrize(
    ('wrapped', 'key'),
    [
        (lambda missing, _: dict(type='RepeatDataset', times=3, dataset=missing), 'dataset.dataset'),
        (lambda missing, there: dict(type='ConcatDataset', datasets=[there, missing]), 'dataset.datasets.1'),
        (
            lambda missing, there: dict(dataset=dict(type='ConcatDataset', datasets=[missing, there])),
            'dataset.dataset.datasets.0',
        ),
    ],
)
def test_data_sets_in_data_sets(wrapped, key: str, tmp_path: Path) -> None:
    (tmp_path / 'there' / 'images').mkdir(parents=True)
    missing, there = (
        dict(type='SomeDataset', data_root=str(tmp_path / name), data_prefix=dict(img_path='images'))
        for name in ('missing', 'there')
    )
    settings = Config(dict(train_dataloader=dict(dataset=wrapped(missing, there))))
    option = f'train_dataloader.{key}.data_root'
    with pytest.raises(FileNotFoundError, match=f'--cfg-options {option}=FOLDER'):
        check_data(settings, 'train_dataloader')
    settings.merge_from_dict({option: str(tmp_path / 'there')})
    check_data(settings, 'train_dataloader')
