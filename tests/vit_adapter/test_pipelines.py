import numpy as np
import pytest
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from support.reference import Reference, deviations

REFERENCE = Reference('vit_adapter')
FOLDER = REFERENCE.folder / 'endtoend'
CASES = REFERENCE.json('endtoend/pipelines.json')['cases']


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
    config = REFERENCE.config('ade20k/upernet_deit_adapter_tiny_512_160k_ade20k.py')
    *load, augment = config.tta_pipeline
    augment = {**augment, 'transforms': [t for t in augment['transforms'] if t[0]['type'] != 'LoadAnnotations']}
    views = run_pipeline([*load, augment], CASES[0]['image'])

    # 256 x 171 pixels; shorter side to 512 times 0.5, 0.75, ..., both rounded up to multiples of 32; each flipped too
    sizes = [(256, 384), (384, 576), (512, 768), (640, 960), (768, 1152), (896, 1344)]
    flips = [sample.metainfo['flip'] for sample in views['data_samples']]
    assert [tuple(view.shape[1:]) for view in views['inputs']] == [size for size in sizes for _ in range(2)]
    assert flips == [False, True] * 6
