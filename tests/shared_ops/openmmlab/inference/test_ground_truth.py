"""Annotations as their data sets mean them, and scores of one picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmseg.evaluation import IoUMetric
from PIL import Image

from shared_ops.openmmlab.inference.ground_truth import IGNORED, read_ground_truth, score


def config(**dataset) -> Config:
    return Config(dict(test_dataloader=dict(dataset=dataset)))


def test_zero_does_not_count_where_the_data_set_says_so(tmp_path: Path) -> None:
    annotation = np.array([[0, 1, 150], [255, 2, 0]], np.uint8)
    cv2.imwrite(str(tmp_path / 'a.png'), annotation)
    reduced = [[IGNORED, 0, 149], [IGNORED, 1, IGNORED]]
    for dataset in (dict(type='ADE20KDataset'), dict(type='BaseSegDataset', reduce_zero_label=True)):
        assert read_ground_truth(tmp_path / 'a.png', config(**dataset), (2, 3), 150).tolist() == reduced
    for dataset in (dict(type='BaseSegDataset'), dict(type='ADE20KDataset', reduce_zero_label=False), {}):
        found = read_ground_truth(tmp_path / 'a.png', config(**dataset), (2, 3), 151)
        assert found.tolist() == annotation.tolist()


def test_palettes_and_classes_that_are_left_out(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2, 255]], np.uint8), mode='P')
    image.putpalette([9] * 768)
    image.save(tmp_path / 'a.png')
    some = config(type='CityscapesDataset', metainfo=dict(classes=('building', 'road')))
    assert read_ground_truth(tmp_path / 'a.png', some, (1, 4), 2).tolist() == [[1, IGNORED, 0, IGNORED]]


@pytest.mark.parametrize(
    ('annotation', 'message'),
    [
        (np.zeros((2, 4), np.uint8), r'is \[2, 4\]; the picture needs one of \[2, 3\]'),
        (np.zeros((2, 3, 3), np.uint8), r'is \[2, 3, 3\]'),
        (np.zeros((2, 3), np.uint16), 'has .* values; they have to be 8 bits'),
        (np.full((2, 3), 255, np.uint8), 'holds no pixel of any class'),
        (np.full((2, 3), 7, np.uint8), 'has class 7, but the model tells 7 apart'),
        (None, 'is no image'),
    ],
)
def test_what_is_no_annotation(annotation: np.ndarray | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / 'a.png'
    path.touch() if annotation is None else cv2.imwrite(str(path), annotation)
    with pytest.raises(ValueError, match=message):
        read_ground_truth(path, Config(), (2, 3), 7)


def test_scores_are_those_of_mmsegmentation() -> None:
    random = np.random.RandomState(0)
    truth = random.choice([0, 1, 2, 4, IGNORED], (30, 40)).astype(np.uint8)
    labels = np.where(random.rand(30, 40) < 0.5, random.randint(0, 6, (30, 40)), truth % 6).astype(np.uint8)
    found = score(labels, truth, 7)

    import torch

    areas = IoUMetric.intersect_and_union(torch.from_numpy(labels).long(), torch.from_numpy(truth).long(), 7, IGNORED)
    metrics = IoUMetric.total_area_to_metrics(*areas, metrics=['mIoU'])
    assert found.accuracy == pytest.approx(metrics['aAcc'])
    assert found.mean_iou == pytest.approx(np.nanmean(metrics['IoU']))
    assert 0.3 < found.mean_iou < found.accuracy < 0.9
