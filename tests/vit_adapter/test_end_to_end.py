"""A photograph, a checkpoint file as MMSegmentation 0.x wrote it, a label map."""

import vit_adapter  # noqa: F401  # before mmseg.apis

import mmcv
import numpy as np
import pytest
import torch
from mmseg.apis import inference_model, init_model

from support.reference import TOLERANCES, Reference, deviations

REFERENCE = Reference('vit_adapter')
FOLDER = REFERENCE.folder / 'endtoend'
(CASE,) = REFERENCE.json('endtoend/cases.json')
CONFIG = str(REFERENCE.config_dir / CASE['config'])
PHOTOGRAPH = str(FOLDER / CASE['image'])
CLASSES = [f'class {index}' for index in range(150)]
PALETTE = [[index, 2 * index % 256, 3 * index % 256] for index in range(150)]


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint') / 'iter_160000.pth'
    meta = {'mmseg_version': '0.20.2', 'CLASSES': CLASSES, 'PALETTE': PALETTE}
    torch.save({'state_dict': REFERENCE.checkpoint(CASE['manifest']), 'meta': meta}, path)
    return str(path)


@pytest.fixture(scope='module')
def result(checkpoint):
    model = init_model(CONFIG, checkpoint, device='cpu')
    assert [*model.dataset_meta['classes']] == CLASSES
    assert [*model.dataset_meta['palette']] == PALETTE
    return inference_model(model, PHOTOGRAPH)


def test_label_map(result):
    labels = result.pred_sem_seg.data[0].numpy()
    original = mmcv.imread(str(FOLDER / CASE['labels_float64']), flag='unchanged')
    assert labels.shape == original.shape
    # may differ where the two best classes are closer than the tolerance of float32
    undecided = CASE['fraction_of_pixels_with_relative_top2_margin_below']['1e-4']
    assert np.mean(labels != original) <= undecided


def test_probabilities(result):
    # the original's result is the softmax of the scores after they were resized to the photograph
    original = {**CASE['outputs']['prob'], 'samples': np.load(FOLDER / 'vit_endtoend.npz')['prob']}
    found = deviations({'prob': result.seg_logits.data.softmax(dim=0)[None]}, {'prob': original})
    assert max(found.values()) < TOLERANCES[torch.float32], found
