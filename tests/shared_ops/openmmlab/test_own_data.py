"""Pairs of files, class lists, label maps: what is found in a user's folders, and what is said about it."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from shared_ops.openmmlab import prepare
from shared_ops.openmmlab.own_data.classes import read_classes
from shared_ops.openmmlab.own_data.folders import find_pairs

prepare()

from shared_ops.openmmlab.own_data.dataset import OwnDataset  # noqa: E402
from shared_ops.openmmlab.own_data.labels import check_config  # noqa: E402


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ('images', 'labels', 'suffixes'),
    [
        (['a.jpg', 'b.jpg'], ['a.png', 'b.png'], ('.jpg', '.png')),
        (['a.png', 'deep/b.png'], ['a_L.png', 'deep/b_L.png'], ('.png', '_L.png')),
        (
            ['x/1_leftImg8bit.png', 'x/2_leftImg8bit.png'],
            ['x/1_labelIds.png', 'x/2_labelIds.png'],
            ('_leftImg8bit.png', '_labelIds.png'),
        ),
    ],
)
def test_pairs_are_found_by_their_names(images, labels, suffixes, tmp_path) -> None:
    pictures = touch(tmp_path / 'images', *images, 'notes.txt', '.hidden.png')
    pairs = find_pairs(pictures, touch(tmp_path / 'labels', *labels))
    assert (pairs.img_suffix, pairs.seg_map_suffix, pairs.count) == (*suffixes, 2)


def test_what_is_no_pair_is_said(tmp_path) -> None:
    pictures = touch(tmp_path / 'images', 'a.jpg')
    with pytest.raises(FileNotFoundError, match='should hold label maps, does not exist'):
        find_pairs(pictures, tmp_path / 'labels')
    with pytest.raises(FileNotFoundError, match='holds no label maps'):
        find_pairs(pictures, touch(tmp_path / 'labels', 'a.txt'))
    with pytest.raises(ValueError, match=r'no picture .* such as a.jpg and other.png'):
        find_pairs(pictures, touch(tmp_path / 'labels', 'other.png'))


def test_classes_have_names_and_colors(tmp_path) -> None:
    file = tmp_path / 'classes.txt'
    file.write_text('traffic light\n\nroad 128, 64 128\nroute 66\n')
    classes = read_classes(file)
    assert classes.names == ['traffic light', 'road', 'route 66']
    assert classes.palette == [[128, 0, 0], [128, 64, 128], [128, 128, 0]]
    for text, message in {'road\n': '1 classes', 'a\nb\na\n': 'a more than once', 'a 1 2 300\nb': '300'}.items():
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_classes(file)


def data_config(folder: Path, **dataset: object) -> Config:
    pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
    own = dict(
        type='OwnDataset', data_root=str(folder), data_prefix=dict(img_path='images', seg_map_path='labels'),
        pipeline=pipeline, metainfo=dict(classes=['a', 'b', 'c']), **dataset,
    )  # fmt: skip
    return Config(
        dict(
            model=dict(decode_head=dict(num_classes=3)),
            train_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=[own])),
            val_dataloader=dict(dataset=own),
        )
    )


def write(folder: Path, name: str, labels: np.ndarray, size: tuple[int, int] = (2, 4)) -> None:
    for kind in ('images', 'labels'):
        (folder / kind).mkdir(exist_ok=True)
    cv2.imwrite(str(folder / 'images' / f'{name}.jpg'), np.zeros((*size, 3), np.uint8))
    cv2.imwrite(str(folder / 'labels' / f'{name}.png'), labels)


def test_good_data_is_counted(tmp_path) -> None:
    write(tmp_path, 'one', np.array([[0, 0, 1, 2], [2, 2, 255, 255]], np.uint8))
    train, val = check_config(data_config(tmp_path))
    assert train.pixels.tolist() == val.pixels.tolist() == [2, 1, 3]
    assert (train.ignored, train.pictures, train.problems) == (2, 1, [])
    reduced, _ = check_config(data_config(tmp_path, reduce_zero_label=True))
    assert reduced.pixels.tolist() == [1, 3, 0] and reduced.ignored == 4


def test_heads_for_other_classes_are_seen(tmp_path) -> None:
    write(tmp_path, 'one', np.zeros((2, 4), np.uint8))
    config = data_config(tmp_path)
    config.model.decode_head.num_classes = 2
    report, _ = check_config(config)
    assert '3 classes, but the head tells 2 apart' in report.problems[0]


def test_labels_are_ignored(tmp_path) -> None:
    write(tmp_path, 'one', np.array([[0, 0, 1, 2], [2, 2, 255, 77]], np.uint8))
    report, _ = check_config(data_config(tmp_path, ignored=[77, 1]))
    assert report.pixels.tolist() == [2, 0, 3] and (report.ignored, report.problems) == (3, [])
    # the values as they stand in the files, whatever 0 means there
    reduced, _ = check_config(data_config(tmp_path, ignored=[77, 1], reduce_zero_label=True))
    assert reduced.pixels.tolist() == [0, 3, 0] and (reduced.ignored, reduced.problems) == (5, [])
    with pytest.raises(ValueError, match=r'\[256\]'):
        OwnDataset(ignored=[256])


def test_bad_data_is_listed(tmp_path) -> None:
    write(tmp_path, 'foreign', np.array([[0, 0, 1, 2], [11, 11, 255, 30]], np.uint8))
    write(tmp_path, 'colored', np.zeros((2, 4, 3), np.uint8))
    write(tmp_path, 'large', np.zeros((3, 5), np.uint8))
    write(tmp_path, 'damaged', np.zeros((2, 4), np.uint8))
    write(tmp_path, 'alone', np.zeros((2, 4), np.uint8))
    (tmp_path / 'labels' / 'damaged.png').write_bytes(b'not a picture')
    (tmp_path / 'labels' / 'alone.png').unlink()
    report, _ = check_config(data_config(tmp_path))
    text = '\n'.join(report.problems)
    assert len(report.problems) == 5
    assert '1 pictures have no label map' in text and ': alone.png' in text
    assert 'damaged.png (' in text and 'colored.png (RGB)' in text
    assert 'large.png (5 x 3, picture 4 x 2)' in text
    assert '11 in 1 label maps, such as foreign.png (25 % of it)' in text
    assert 'new ... --ignore 11 30' in text
    with pytest.raises(FileNotFoundError, match='nowhere'):
        check_config(data_config(tmp_path / 'nowhere'))
