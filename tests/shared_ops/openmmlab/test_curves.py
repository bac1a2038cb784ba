"""Curves of trainings, read from MMEngine's log."""

import json
from pathlib import Path

import cv2
import pytest

from shared_ops.openmmlab import prepare

prepare()

from shared_ops.openmmlab.curves.drawing import draw_curves, running_mean  # noqa: E402
from shared_ops.openmmlab.curves.hook import CurvesHook  # noqa: E402
from shared_ops.openmmlab.curves.scalars import Series, read_run  # noqa: E402


def log(folder: Path, start: int, end: int, loss: float, rest: str = '') -> None:
    """Write the log of a part of a training: a loss in every iteration, a validation in every fourth."""
    folder = folder / 'vis_data'
    folder.mkdir(parents=True)
    lines = []
    for step in range(start, end):
        lines.append(json.dumps({'lr': 1e-4 / step, 'loss': loss / step, 'iter': step, 'step': step}))
        if step % 4 == 0:
            lines.append(json.dumps({'aAcc': 99.0, 'mIoU': 5.0 * step, 'mAcc': float('nan'), 'step': step}))
    (folder / 'scalars.json').write_text('\n'.join(lines) + '\n' + rest)


def test_parts_of_a_resumed_training_are_joined(tmp_path) -> None:
    log(tmp_path / '20260101_000000', 1, 9, loss=1.0, rest='{"lr": 0.1, "loss": 7')
    log(tmp_path / '20260102_000000', 7, 13, loss=2.0)
    run = read_run(tmp_path)
    assert run.loss.steps == list(range(1, 13)) == run.learning_rate.steps
    assert run.loss.values[5:7] == [1 / 6, 2 / 7]
    assert run.scores['mIoU'].steps == [4, 8, 12] and run.scores['mIoU'].values == [20, 40, 60]
    assert 'aAcc' not in run.scores


def test_no_log_is_said(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match='holds no log'):
        read_run(tmp_path)
    log(tmp_path / '20260101_000000', 1, 1, loss=1.0)
    with pytest.raises(ValueError, match='no losses yet'):
        read_run(tmp_path)


def test_curves_of_several_trainings(tmp_path) -> None:
    for name in ('first', 'second'):
        log(tmp_path / name / '20260101_000000', 1, 100, loss=3.0)
    draw_curves([read_run(tmp_path / 'first'), read_run(tmp_path / 'second')], tmp_path / 'two.png')
    picture = cv2.imread(str(tmp_path / 'two.png'))
    assert picture.shape[0] > 800 and picture.shape[1] > 800
    colors = {tuple(color) for color in picture.reshape(-1, 3)[:, ::-1].tolist()}
    assert {(0, 0x72, 0xB2), (0xD5, 0x5E, 0)} <= colors
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ['two.png']


def test_running_mean_keeps_what_is_linear() -> None:
    mean = running_mean(Series(list(range(80)), [float(step) for step in range(80)]))
    assert mean[2:-2] == list(range(2, 78)) and mean[0] == 1.0
    assert running_mean(Series([1, 2], [1.0, 2.0])) is None


class FailingRunner:
    work_dir = '/dev/null/no such folder'


def test_a_picture_that_cannot_be_drawn_stops_nothing() -> None:
    CurvesHook().after_train(FailingRunner())
