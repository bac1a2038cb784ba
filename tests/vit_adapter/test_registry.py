"""Importing the package adds to MMSegmentation's registries and replaces nothing in them."""

import vit_adapter

import mmseg.registry
import pytest
from mmseg.utils import register_all_modules


@pytest.fixture(scope='module', autouse=True)
def _everything_registered():
    register_all_modules()


@pytest.mark.parametrize(
    ('registry', 'name'),
    [
        ('MODELS', 'EncoderDecoder'),
        ('MODELS', 'Mask2FormerHead'),
        ('OPTIM_WRAPPER_CONSTRUCTORS', 'LayerDecayOptimizerConstructor'),
        ('DATASETS', 'PotsdamDataset'),
        ('DATASETS', 'ChaseDB1Dataset'),
        ('DATASETS', 'MapillaryDataset_v1'),
        ('TRANSFORMS', 'ResizeToMultiple'),
    ],
)
def test_entries_with_names_like_the_originals(registry, name):
    assert getattr(mmseg.registry, registry).get(name).__module__.startswith('mmseg.')


@pytest.mark.parametrize(
    ('registry', 'name', 'module'),
    [
        *(('MODELS', name, 'vit_adapter') for name in (
            'ViTAdapter', 'ViTBaseline', 'BEiTAdapter', 'BEiTBaseline', 'UniPerceiverAdapter',
        )),
        ('MODELS', 'CheckedEncoderDecoder', 'shared_ops'),
        ('MODELS', 'RunningMeanTTAModel', 'shared_ops'),
        ('LOOPS', 'AugmentedTestLoop', 'shared_ops'),
        ('DATASETS', 'MapillaryDataset', 'shared_ops'),
        ('TRANSFORMS', 'SETR_Resize', 'shared_ops'),
        ('TRANSFORMS', 'PadShortSide', 'shared_ops'),
        ('TRANSFORMS', 'MapillaryHack', 'shared_ops'),
    ],
)  # fmt: skip
def test_ours(registry, name, module):
    assert getattr(mmseg.registry, registry).get(name).__module__.split('.')[0] == module


def test_backbones_are_exported():
    for name in vit_adapter.__all__:
        if name[0].isupper() and name != 'CONFIG_DIR':
            assert mmseg.registry.MODELS.get(name) is getattr(vit_adapter, name)
