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
        ('TRANSFORMS', 'ResizeToMultiple'),
    ],
)
def test_entries_with_names_like_the_originals(registry, name):
    assert getattr(mmseg.registry, registry).get(name).__module__.startswith('mmseg.')


def test_ours():
    assert mmseg.registry.MODELS.get('ViTAdapter') is vit_adapter.ViTAdapter
