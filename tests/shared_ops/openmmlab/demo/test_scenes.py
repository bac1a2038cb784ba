"""The demo's scenes: the same for one seed, different from one another, and useless to who sees colours alone."""

from pathlib import Path

import numpy as np
import pytest

from shared_ops.openmmlab.demo.color_classifier import ColorClassifier, color_baseline
from shared_ops.openmmlab.demo.scenes import CLASSES, PALETTE, SIZE, draw_scene, read_data_set, write_data_set


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('scenes')
    write_data_set(folder, seed=0, splits={'train': 60, 'val': 20})
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*.*')}


def test_files_lie_where_mmsegmentation_reads_them(data: Path) -> None:
    assert len(list((data / 'images' / 'train').glob('*.jpg'))) == 60
    assert len(list((data / 'annotations' / 'val').glob('*.png'))) == 20
    for picture, labels in read_data_set(data, 'val'):
        assert picture.shape == (SIZE, SIZE, 3)
        assert labels.shape == (SIZE, SIZE)
        assert labels.max() < len(CLASSES) == len(PALETTE)


def test_the_seed_decides(tmp_path: Path) -> None:
    for name, seed in {'first': 3, 'again': 3, 'other': 4}.items():
        write_data_set(tmp_path / name, seed, splits={'train': 3, 'val': 3})
    first, again, other = (contents(tmp_path / name) for name in ('first', 'again', 'other'))
    assert first == again
    assert len(set(first.values())) == len(first)  # no scene twice, nor in both splits
    assert not set(first.values()) & set(other.values())


def test_every_class_is_there_and_none_fills_all(data: Path) -> None:
    labels = np.stack([labels for _, labels in read_data_set(data, 'train')])
    shares = np.bincount(labels.ravel(), minlength=len(CLASSES)) / labels.size
    assert (shares > 0.01).all()
    assert shares.max() < 0.85


def test_sizes_other_than_the_usual() -> None:
    picture, labels = draw_scene(np.random.RandomState(0), size=77)
    assert picture.shape == (77, 77, 3)
    assert labels.max() > 0


def test_colors_alone_do_not_tell_the_classes(data: Path) -> None:
    baseline = color_baseline(read_data_set(data, 'train'), read_data_set(data, 'val'), len(CLASSES))
    assert 5 < baseline < 40


def test_the_color_classifier_is_no_straw_man(data: Path) -> None:
    """Where colours do tell the classes, it finds them all."""

    def paint(split: str) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(np.array(PALETTE, np.uint8)[labels], labels) for _, labels in read_data_set(data, split)]

    assert color_baseline(paint('train'), paint('val'), len(CLASSES)) == 100
    labels = ColorClassifier(paint('train'), len(CLASSES), use_frequencies=True)(np.array([[PALETTE[2]]], np.uint8))
    assert labels.tolist() == [[2]]
