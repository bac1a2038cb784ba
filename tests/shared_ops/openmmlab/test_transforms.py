"""The originals' transforms, where the stored pipelines do not reach."""

import numpy as np
import pytest

from shared_ops.openmmlab import prepare

prepare()
from mmseg.registry import DATASETS, TRANSFORMS  # noqa: E402

from shared_ops.openmmlab.transforms import MAPILLARY_IDS  # noqa: E402


def scene(height: int, width: int) -> dict:
    """Return a picture whose annotation is read already, and says in which column a pixel was."""
    columns = np.broadcast_to(np.arange(width, dtype=np.uint8), (height, width)).copy()
    picture = np.full((height, width, 3), 200, np.uint8)
    return {'img': picture, 'gt_seg_map': columns, 'seg_fields': ['gt_seg_map'], 'img_shape': (height, width)}


@pytest.mark.parametrize(
    ('size', 'scale', 'expected'),
    [
        ((30, 50), (400, 60), (60, 100)),
        ((50, 30), (400, 60), (100, 60)),
        # the longer side has no limit
        ((20, 90), (80, 60), (60, 270)),
        # no shorter than the crop; its width does not count
        ((30, 50), (80, 20), (40, 67)),
        ((30, 30), (20, 20), (40, 40)),
        # either order
        ((30, 50), (60, 400), (60, 100)),
    ],
)
def test_setr_resize(size, scale, expected):
    resize = TRANSFORMS.build({'type': 'SETR_Resize', 'scale': scale, 'crop_size': (40, 90)})
    for _ in range(2):  # nothing is kept from one picture to the next
        results = resize(scene(*size))
        assert results['img'].shape == (*expected, 3) and results['gt_seg_map'].shape == expected
        assert results['img_shape'] == results['pad_shape'] == expected
        width_and_height = (expected[1] / size[1], expected[0] / size[0])
        assert results['scale_factor'] == pytest.approx(width_and_height)
        assert set(np.unique(results['gt_seg_map'])) == set(range(size[1]))  # nearest neighbours


@pytest.mark.parametrize('option', ['keep_ratio', 'setr_multi_scale'])
def test_setr_resize_has_one_mode(option):
    settings = {'type': 'SETR_Resize', 'scale': (40, 40), 'crop_size': (40, 40)}
    TRANSFORMS.build({**settings, option: True})
    with pytest.raises(ValueError, match='use Resize'):
        TRANSFORMS.build({**settings, option: False})


@pytest.mark.parametrize(
    ('size', 'padded'), [((30, 50), (40, 50)), ((50, 30), (50, 40)), ((20, 30), (40, 40)), ((50, 60), (50, 60))]
)
def test_pad_short_side(size, padded):
    results = TRANSFORMS.build({'type': 'PadShortSide', 'size': 40, 'pad_val': 7, 'seg_pad_val': 9})(scene(*size))
    height, width = size
    assert results['img'].shape == (*padded, 3) and results['gt_seg_map'].shape == padded
    assert (results['img_shape'], results['pad_shape']) == (size, padded)
    assert results['padding_size'] == (0, padded[1] - width, 0, padded[0] - height)
    for key, inside, outside in (('img', 200, 7), ('gt_seg_map', scene(*size)['gt_seg_map'], 9)):
        assert (results[key][:height, :width] == inside).all()
        assert (results[key][height:] == outside).all() and (results[key][:, width:] == outside).all()


def test_mapillary_hack_knows_every_class_of_cityscapes():
    classes = DATASETS.get('CityscapesDataset').METAINFO['classes']
    vistas = DATASETS.get('MapillaryDataset_v1').METAINFO['classes']
    assert tuple(MAPILLARY_IDS) == classes and len(vistas) == 66
    labels = np.arange(256, dtype=np.uint8).reshape(4, 64)
    mapped = TRANSFORMS.build({'type': 'MapillaryHack'})({'gt_seg_map': labels})['gt_seg_map']
    assert mapped.shape == labels.shape and mapped.dtype == np.uint8
    found = {vistas[label]: classes[mapped.flat[label]] for label in range(66) if mapped.flat[label] != 255}
    # names say the same thing in both, where both have it
    same = {
        'Sidewalk': 'sidewalk', 'Building': 'building', 'Wall': 'wall', 'Fence': 'fence', 'Pole': 'pole',
        'Traffic Light': 'traffic light', 'Traffic Sign (Front)': 'traffic sign', 'Vegetation': 'vegetation',
        'Terrain': 'terrain', 'Sky': 'sky', 'Person': 'person', 'Bicyclist': 'rider', 'Car': 'car', 'Truck': 'truck',
        'Bus': 'bus', 'On Rails': 'train', 'Motorcycle': 'motorcycle', 'Bicycle': 'bicycle', 'Road': 'road',
    }  # fmt: skip
    assert same.items() <= found.items() and set(same.values()) == set(classes)
    assert len(found) == sum(len(ids) for ids in MAPILLARY_IDS.values()) == 25
    assert (mapped.flat[66:] == 0).all()  # ids that Mapillary Vistas does not have
