import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS

from support.reference import Reference, deviations

REFERENCE = Reference('vit_adapter')
FOLDER = REFERENCE.folder / 'endtoend'
CASES = REFERENCE.json('endtoend/pipelines.json')['cases']


TINY = REFERENCE.config('ade20k/upernet_deit_adapter_tiny_512_160k_ade20k.py')


def run_pipeline(pipeline, image):
    """Return what a pipeline makes of a picture that has no annotation."""
    init_default_scope('mmseg')
    transforms = [transform for transform in pipeline if transform['type'] != 'LoadAnnotations']
    return Compose(transforms)({'img_path': str(FOLDER / image)})


@pytest.mark.parametrize('case', CASES, ids=[case['image'] for case in CASES])
def test_pixels_and_sizes(case):
    config = REFERENCE.config(case['config'])
    data = pseudo_collate([run_pipeline(config.test_pipeline, case['image'])])
    data = MODELS.build(config.model.data_preprocessor)(data, training=False)
    (original,) = case['augmented']
    original['samples'] = np.load(FOLDER / 'pipelines.npz')[original['name']]

    # one step of an 8-bit pixel is 6e-3 of the largest value
    found = deviations({original['name']: data['inputs'][0]}, {original['name']: original})
    assert max(found.values()) < 1e-6, found
    meta = data['data_samples'][0].metainfo
    for key in ('ori_shape', 'img_shape', 'pad_shape'):
        assert list(meta[key]) == original[key][:2], key  # height and width; the originals add the channels
    # of the first of the two resizings, as in the originals
    assert list(meta['scale_factor']) == pytest.approx(original['scale_factor'][:2], rel=1e-7)


def test_views_of_test_time_augmentation():
    *load, augment = TINY.tta_pipeline
    augment = {**augment, 'transforms': [t for t in augment['transforms'] if t[0]['type'] != 'LoadAnnotations']}
    views = run_pipeline([*load, augment], CASES[0]['image'])

    # 256 x 171 pixels; shorter side to 512 times 0.5, 0.75, ..., both rounded up to multiples of 32; each flipped too
    sizes = [(256, 384), (384, 576), (512, 768), (640, 960), (768, 1152), (896, 1344)]
    flips = [sample.metainfo['flip'] for sample in views['data_samples']]
    assert [tuple(view.shape[1:]) for view in views['inputs']] == [size for size in sizes for _ in range(2)]
    assert flips == [False, True] * 6


@pytest.fixture
def dataset(tmp_path, request):
    """Return the data set of one of the config's data loaders, on one picture that is annotated in stripes."""
    dataset = {**request.param.dataset, 'data_root': str(tmp_path)}
    photograph = cv2.imread(str(FOLDER / CASES[0]['image']))
    stripes = np.broadcast_to(np.arange(photograph.shape[1]) % 151, photograph.shape[:2]).astype(np.uint8)
    for kind, suffix, picture in (('img_path', 'jpg', photograph), ('seg_map_path', 'png', stripes)):
        folder = tmp_path / dataset['data_prefix'][kind]
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / f'scene.{suffix}'), picture)
    init_default_scope('mmseg')
    return DATASETS.build(dataset)


@pytest.mark.parametrize('dataset', [TINY.train_dataloader], indirect=True)
def test_training_sees_crops_that_are_filled_up(dataset):
    preprocessor = MODELS.build(TINY.model.data_preprocessor)
    filled_up = 0
    for _ in range(40):  # a third of the draws shrink the picture
        data = preprocessor(pseudo_collate([dataset[0]]), training=True)
        labels = data['data_samples'][0].gt_sem_seg.data
        assert data['inputs'].shape == (1, 3, 512, 512) and labels.shape == (1, 512, 512)
        # class 0 of the file is no class: 1 to 150 became 0 to 149, and what was added is ignored
        assert set(labels.unique().tolist()) <= {*range(150), 255}
        padding = labels[0, -1] == 255
        if padding.all():
            filled_up += 1
            assert not data['inputs'][0, :, -1].any()
    assert filled_up


@pytest.mark.parametrize('dataset', [TINY.val_dataloader, TINY.test_dataloader], indirect=True, ids=['val', 'test'])
def test_evaluation_keeps_the_annotation_as_it_is(dataset):
    data = dataset[0]
    assert data['inputs'].shape == (3, 512, 768)
    stripes = torch.arange(256) % 151
    expected = torch.where(stripes == 0, 255, stripes - 1).expand(1, 171, 256)
    assert torch.equal(data['data_samples'].gt_sem_seg.data.long(), expected)
