"""A photograph, a checkpoint file as MMSegmentation 0.x wrote it, a label map."""

import vit_adapter  # noqa: F401  # before mmseg.apis

import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmseg.apis import inference_model, init_model
from mmseg.registry import MODELS

from support.old_configs import multi_scale_pipeline, padded_to, single_scale_pipeline
from support.reference import TOLERANCES, Reference, deviations

REFERENCE = Reference('vit_adapter')
FOLDER = REFERENCE.folder / 'endtoend'
CASES = REFERENCE.json('endtoend/cases.json')
CLASSES = [f'class {index}' for index in range(150)]
PALETTE = [[index, 2 * index % 256, 3 * index % 256] for index in range(150)]


def is_annotation(step):
    return step['type'] == 'LoadAnnotations' if isinstance(step, dict) else is_annotation(step[0])


def configure(case):
    """Return our config with the sizes and the pipeline of ``case``, and whether that pipeline shows several views."""
    config = REFERENCE.config(case['config'], case.get('overrides'))
    original = case.get('test_pipeline')
    if original is None:
        return config, False
    if not original[1]['flip']:
        config.test_pipeline = single_scale_pipeline(original)
        return config, False
    config.tta_pipeline = multi_scale_pipeline(original)
    if padded_to(original):
        config.model.data_preprocessor.test_cfg = {'size': padded_to(original)}
    return config, True


def all_views(model, photograph):
    """Return a model's prediction of a photograph with the test-time augmentation of its config."""
    load, augment = model.cfg.tta_pipeline
    augment['transforms'] = [step for step in augment['transforms'] if not is_annotation(step)]
    data = pseudo_collate([Compose([load, augment])({'img_path': photograph})])
    with torch.no_grad():
        (result,) = MODELS.build({**model.cfg.tta_model, 'module': model}).test_step(data)
    return result, len(data['inputs'])


def dtype_of(case):
    """Return the type in which a case is computed.

    Mask2Former's queries attend where their masks are above 0.5, and in this photograph one mask comes within 7e-7 of
    its largest logit of that. float32 decides it by the number of threads, and the scores then differ by 1.7e-4.
    """
    return torch.float64 if 'mask2former' in case['case'] else torch.float32


def compute_in(dtype, model):
    """Have a model compute in a type; the pictures are normalized in float32, as in the originals."""
    model.data_preprocessor.register_forward_hook(
        lambda module, inputs, data: {**data, 'inputs': data['inputs'].to(dtype)}
    )
    return model.to(dtype)


@pytest.fixture(scope='module', params=CASES, ids=[case['case'] for case in CASES])
def result(request, tmp_path_factory):
    """Return a case and our prediction for it."""
    case = request.param
    checkpoint = tmp_path_factory.mktemp('checkpoint') / 'iter_160000.pth'
    meta = {'mmseg_version': '0.20.2', 'CLASSES': CLASSES, 'PALETTE': PALETTE}
    torch.save({'state_dict': REFERENCE.checkpoint(case['manifest']), 'meta': meta}, checkpoint)
    config, augmented = configure(case)
    model = compute_in(dtype_of(case), init_model(config, str(checkpoint), device='cpu'))
    assert [*model.dataset_meta['classes']] == CLASSES
    assert [*model.dataset_meta['palette']] == PALETTE
    photograph = str(FOLDER / case['image'])
    if not augmented:
        return case, inference_model(model, photograph)
    prediction, number = all_views(model, photograph)
    assert number == case['augmented_views']
    return case, prediction


def test_label_map(result):
    case, prediction = result
    labels = prediction.pred_sem_seg.data[0].numpy()
    original = mmcv.imread(str(FOLDER / case['labels_float64']), flag='unchanged')
    assert labels.shape == original.shape
    # may differ where the two best classes are closer than the tolerance of float32
    undecided = case['fraction_of_pixels_with_relative_top2_margin_below']['1e-4']
    assert np.mean(labels != original) <= undecided


def test_probabilities(result):
    case, prediction = result
    # the originals' result is the softmax of the scores after they were resized to the photograph
    (name,) = case['outputs'].keys() - {'input'}
    original = {**case['outputs'][name], 'samples': np.load(FOLDER / 'vit_endtoend.npz')[name]}
    found = deviations({name: prediction.seg_logits.data.softmax(dim=0)[None]}, {name: original})
    assert max(found.values()) < TOLERANCES[dtype_of(case)], found
