"""A sheet of several models."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from shared_ops.openmmlab.cli.compare import Candidate, compare
from shared_ops.openmmlab.inference.classes import Classes
from shared_ops.openmmlab.inference.comparison_sheet import ModelResult, disagreement, draw_comparison
from shared_ops.openmmlab.inference.segmenter import Segmenter
from support.tiny_segmentor import write_segmentor

CLASSES = Classes(
    ['left', 'right', 'rare', 'never'], np.array([[255, 0, 0], [0, 0, 255], [0, 255, 0], [9, 9, 9]], 'u1')
)


def halves(at: int) -> np.ndarray:
    """Return a label map of 40 x 60 pixels whose classes meet in a column."""
    return np.repeat(np.arange(60)[None] >= at, 40, axis=0).astype(np.uint8)


def test_how_many_disagree() -> None:
    assert disagreement([halves(30), halves(30)]).max() == 0
    against = disagreement([halves(30), halves(40), halves(40), np.full((40, 60), 2, np.uint8)])
    assert against[0, [0, 35, 50]].tolist() == [1, 2, 1]
    assert disagreement([halves(30), halves(40)]).sum() == 40 * 10


@pytest.mark.parametrize(('number', 'with_truth'), [(1, False), (2, True), (5, False)])
def test_sheet(number: int, with_truth: bool) -> None:
    picture = np.full((40, 60, 3), 200, np.uint8)
    results = [ModelResult(f'model_{index}', halves(30 + index), 0.1) for index in range(number)]
    results[0].labels[0, 0] = 2  # too rare for the legend
    sheet = draw_comparison(picture, results, CLASSES, title='$x', truth=halves(10) if with_truth else None)
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    colors, counts = np.unique(sheet @ np.array([1 << 16, 1 << 8, 1]), return_counts=True)
    counted = {(color >> 16, color >> 8 & 255, color & 255): count for color, count in zip(colors, counts)}
    pixels = (640 / 60) ** 2
    # three fifths of the class over two fifths of the picture
    shown = sum(int((result.labels == 1).sum()) for result in results)
    if with_truth:
        shown += int((halves(10) == 1).sum())
    assert counted[80, 80, 233] == pytest.approx(shown * pixels, rel=0.03)
    legend = [tuple(color) for color in CLASSES.palette.tolist()]
    assert [color in counted for color in legend] == [True, True, False, False]
    # white only where the sheet has no picture; grey only in the picture itself and where models agree
    assert counted[200, 200, 200] == pytest.approx(40 * 60 * pixels, rel=0.03)
    assert ((233, 233, 233) in counted) == (number > 1)


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    config, checkpoint = write_segmentor(tmp_path_factory.mktemp('model'))
    segmenter = Segmenter.load(config, checkpoint, device='cpu')
    return Candidate('a', Config.fromfile(config), lambda: segmenter)


def test_models_are_measured(model: Candidate, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = np.random.RandomState(0).randint(0, 256, (30, 40, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'photo.png'), picture)
    truth = model.load()([picture])[0].labels
    truth[:15] = 255  # does not count
    truth[15:18] = (truth[15:18] + 1) % 4
    cv2.imwrite(str(tmp_path / 'truth.png'), truth)
    other = Candidate('b', model.config, model.load)
    assert (
        compare(tmp_path / 'photo.png', [model, other], tmp_path / 'new' / 's.png', labels=tmp_path / 'truth.png') == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('a: ') and 's, pixel accuracy 0.8000, mIoU ' in lines[0]
    assert lines[2:] == ['they disagree in 0.0% of the pixels', str(tmp_path / 'new' / 's.png')]
    assert cv2.imread(lines[3]) is not None


def test_what_cannot_be_compared(model: Candidate, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / 'photo.png'), np.zeros((30, 40, 3), np.uint8))
    (tmp_path / 'page.png').write_text('<!doctype html>')
    photo = tmp_path / 'photo.png'
    for arguments, message in (
        ((photo, [model], photo), 'is one of the inputs'),
        ((photo, [model], tmp_path / 'sheet.jpg'), r'has to end in \.png'),
        ((tmp_path / 'page.png', [model], tmp_path / 's.png'), r'page\.png: it is no image'),
    ):
        with pytest.raises(ValueError, match=message):
            compare(*arguments)
    config, checkpoint = write_segmentor(tmp_path, classes=('one', 'two'))
    other = Candidate('b', model.config, lambda: Segmenter.load(config, checkpoint, device='cpu'))
    with pytest.raises(ValueError, match=r'a has the classes 4 \(dark, grey, bright, \.\.\.\) and b has 2 \(one, two'):
        compare(photo, [model, other], tmp_path / 's.png')
    assert not (tmp_path / 's.png').exists()
    for inputs in ({'picture': tmp_path / 'none.png'}, {'picture': photo, 'labels': tmp_path / 'none.png'}):
        never = Candidate('a', model.config, lambda: pytest.fail('loaded'))
        with pytest.raises(OSError, match=r'none\.png cannot be read: No such file or directory; name an image'):
            compare(candidates=[never], out=tmp_path / 's.png', **inputs)
