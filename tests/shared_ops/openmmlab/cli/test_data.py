"""Missing data is found before a model is built."""

from pathlib import Path

import pytest
from mmengine.config import Config

from shared_ops.openmmlab.cli.data import check_data


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


@pytest.mark.parametrize(
    ('wrapped', 'option'),
    [
        (lambda part: {'dataset': part}, 'dataset.dataset'),
        (lambda part: {'datasets': [{'type': 'Other'}, part]}, 'dataset.datasets.1'),
        (lambda part: {'dataset': {'datasets': [part]}}, 'dataset.dataset.datasets.0'),
    ],
)
def test_data_sets_in_data_sets(wrapped, option: str, tmp_path: Path) -> None:
    part = dict(type='Inner', data_root=str(tmp_path), data_prefix=dict(img_path='images'))
    with pytest.raises(FileNotFoundError, match='Inner expects img_path') as refused:
        check_data(config(**wrapped(part)), 'train_dataloader')
    assert f'--cfg-options train_dataloader.{option}.data_root=FOLDER' in str(refused.value)
    # the option is one that MMEngine takes
    settings = config(**wrapped(part))
    (tmp_path / 'elsewhere' / 'images').mkdir(parents=True)
    settings.merge_from_dict({f'train_dataloader.{option}.data_root': str(tmp_path / 'elsewhere')})
    check_data(settings, 'train_dataloader')


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
