"""The data sets read their files, and pictures are stretched as the original does it."""

from pathlib import Path

import internimage  # noqa: F401 (first: it prepares OpenMMLab's packages)

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from support.reference import Reference

REFERENCE = Reference('internimage')
HEIGHT, WIDTH = 60, 90


def stripes(number: int) -> np.ndarray:
    """Return a label map, ``number`` labels side by side."""
    return np.broadcast_to(np.arange(WIDTH) % number, (HEIGHT, WIDTH)).astype(np.uint8)


def write_scene(root: Path, prefix: dict[str, str], labels: np.ndarray, suffixes: tuple[str, str]) -> None:
    """Write one picture with its label map into the folders of a data set."""
    picture = np.random.RandomState(0).randint(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    for folder, suffix, content in zip(prefix.values(), suffixes, (picture, labels), strict=True):
        (root / folder).mkdir(parents=True)
        cv2.imwrite(str(root / folder / f'scene{suffix}'), content)


CITYSCAPES = ('_leftImg8bit.png', '_gtFine_labelTrainIds.png')
# config: (suffixes of the training's files, whether label 0 is no class, number of classes, number of folders)
DATA_SETS = {
    'ade20k/upernet_internimage_t_512_160k_ade20k.py': (('.jpg', '.png'), True, 150, 1),
    'cityscapes/upernet_internimage_t_512x1024_160k_cityscapes.py': (CITYSCAPES, False, 19, 1),
    'cityscapes/segformer_internimage_l_512x1024_160k_mapillary2cityscapes.py': (CITYSCAPES, False, 19, 2),
    'cityscapes/mask2former_internimage_h_1024x1024_80k_mapillary2cityscapes.py': (CITYSCAPES, False, 19, 2),
    'coco_stuff10k/mask2former_internimage_h_512_40k_cocostuff164k_to_10k.py': (
        ('.jpg', '_labelTrainIds.png'), True, 171, 1,
    ),
    'nyu_depth_v2/mask2former_internimage_h_480_40k_nyu.py': (('.png', '.png'), True, 40, 1),
}  # fmt: skip


@pytest.mark.parametrize('name', DATA_SETS)
def test_data_sets_read_their_files(name: str, tmp_path: Path) -> None:
    suffixes, reduces_zero, classes, folders = DATA_SETS[name]
    init_default_scope('mmseg')
    config = REFERENCE.config(name)
    training, testing = config.train_dataloader.dataset, config.test_dataloader.dataset
    parts = training.get('datasets', [training])
    for root, settings in [(tmp_path / 'train', part) for part in parts] + [(tmp_path / 'test', testing)]:
        write_scene(root, settings.data_prefix, stripes(classes + reduces_zero), suffixes)
        if 'ann_file' in settings:
            (root / settings.ann_file).write_text('scene\n')
        settings.data_root = str(root)
    dataset = DATASETS.build(training)
    assert len(dataset) == folders and len(dataset.metainfo['classes']) == classes
    for index in range(folders):
        labels = dataset[index]['data_samples'].gt_sem_seg.data
        assert set(labels.unique().tolist()) <= {*range(classes), 255}
        assert labels.shape[1] <= config.crop_size[0] and labels.shape[2] <= config.crop_size[1]
    labels = DATASETS.build(testing)[0]['data_samples'].gt_sem_seg.data
    expected = torch.from_numpy(stripes(classes + reduces_zero).astype(np.int64)) - int(reduces_zero)
    assert torch.equal(labels[0].long(), torch.where(expected < 0, 255, expected))


@pytest.mark.parametrize('part', [0, 1])
def test_mapillary_becomes_cityscapes(part: int, tmp_path: Path) -> None:
    config = REFERENCE.config('mapillary/upernet_internimage_l_512x1024_80k_mapillary.py')
    settings = config.train_dataloader.dataset.datasets[part]
    write_scene(tmp_path, settings.data_prefix, stripes(66), ('.jpg', '.png'))
    settings.data_root = str(tmp_path)
    assert [transform['type'] for transform in settings.pipeline[:4]] == [
        'LoadImageFromFile', 'LoadAnnotations', 'MapillaryHack', 'RandomResize',
    ]  # fmt: skip
    settings.pipeline = [*settings.pipeline[:3], {'type': 'PackSegInputs'}]
    init_default_scope('mmseg')
    dataset = DATASETS.build(settings)
    assert dataset.metainfo['classes'] == DATASETS.get('CityscapesDataset').METAINFO['classes']
    labels = dataset[0]['data_samples'].gt_sem_seg.data[0, 0]
    ids = stripes(66)[0]
    # a road, a wall, a rider, a bicycle; what is no class of Cityscapes
    assert [int(labels[np.argmax(ids == index)]) for index in (13, 6, 21, 52, 0, 65)] == [0, 3, 12, 18, 255, 255]


ADE20K_T = 'ade20k/upernet_internimage_t_512_160k_ade20k.py'
ADE20K_H = 'ade20k/upernet_internimage_h_896_160k_ade20k.py'
# config, (height, width) of a picture, and of what the model is shown of it; the original's pipelines gave these
SHOWN = [
    (ADE20K_T, (512, 683), (512, 704)),
    (ADE20K_T, (333, 500), (512, 800)),
    (ADE20K_T, (300, 1500), (416, 2048)),
    (ADE20K_H, (512, 683), (896, 1216)),
    ('nyu_depth_v2/mask2former_internimage_h_480_40k_nyu.py', (333, 500), (448, 640)),
    ('pascal_context/mask2former_internimage_h_480_40k_pascal_context_59.py', (512, 683), (544, 704)),
    # not stretched
    ('cityscapes/upernet_internimage_t_512x1024_160k_cityscapes.py', (300, 500), (1024, 1707)),
    ('mapillary/segformer_internimage_l_512x1024_80k_mapillary.py', (300, 500), (1024, 1707)),
    ('mapillary/mask2former_internimage_h_896x896_80k_mapillary.py', (300, 500), (1024, 1728)),
]


@pytest.mark.parametrize(('name', 'picture', 'shown'), SHOWN)
def test_pictures_are_stretched(name: str, picture: tuple[int, int], shown: tuple[int, int]) -> None:
    init_default_scope('mmseg')
    load, *steps = [step for step in REFERENCE.config(name).test_pipeline if step['type'] != 'LoadAnnotations']
    assert load['type'] == 'LoadImageFromFile'
    image = np.zeros((*picture, 3), np.uint8)
    results = {'img': image, 'img_shape': picture, 'ori_shape': picture, 'img_path': ''}
    assert tuple(Compose(steps)(results)['inputs'].shape[1:]) == shown


def test_views_of_the_multi_scale_test() -> None:
    init_default_scope('mmseg')
    config = REFERENCE.config('ade20k/mask2former_internimage_h_896_80k_cocostuff2ade20k_ms.py')
    augment = config.tta_pipeline[1]
    augment.transforms = [step for step in augment.transforms if step[0]['type'] != 'LoadAnnotations']
    image = np.zeros((512, 683, 3), np.uint8)
    views = Compose([augment])({'img': image, 'img_shape': (512, 683), 'ori_shape': (512, 683), 'img_path': ''})
    sizes = [tuple(view.shape[1:]) for view in views['inputs']]
    assert sizes[::2] == sizes[1::2] == [(768, 1056), (832, 1120), (896, 1216), (960, 1312), (1024, 1376)]
    assert [sample.metainfo['flip'] for sample in views['data_samples']] == [False, True] * 5
