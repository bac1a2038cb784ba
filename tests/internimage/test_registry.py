"""Importing the package adds to MMSegmentation's registries and replaces nothing in them."""

import importlib.metadata
import importlib.util

import internimage

import mmseg.registry
import pytest
from mmseg.utils import register_all_modules

import shared_ops


@pytest.mark.parametrize(
    ('registry', 'name'),
    [
        ('MODELS', 'EncoderDecoder'),
        ('MODELS', 'Mask2FormerHead'),
        ('MODELS', 'SegformerHead'),
        ('OPTIM_WRAPPER_CONSTRUCTORS', 'LayerDecayOptimizerConstructor'),
        ('DATASETS', 'NYUDataset'),
        ('TRANSFORMS', 'ResizeToMultiple'),
    ],
)
def test_entries_with_names_like_the_originals(registry: str, name: str) -> None:
    register_all_modules()
    assert getattr(mmseg.registry, registry).get(name).__module__.startswith('mmseg.')


@pytest.mark.parametrize(
    ('registry', 'name'),
    [
        ('MODELS', 'InternImage'),
        ('DATASETS', 'NYUDepthV2Dataset'),
        ('OPTIM_WRAPPER_CONSTRUCTORS', 'CustomLayerDecayOptimizerConstructor'),
    ],
)
def test_ours(registry: str, name: str) -> None:
    register_all_modules()
    assert getattr(mmseg.registry, registry).get(name) is getattr(internimage, name)


def test_versions_are_in_step() -> None:
    assert internimage.__version__ == shared_ops.__version__
    if importlib.util.find_spec('internimage').origin.endswith('site-packages/internimage/__init__.py'):
        assert importlib.metadata.version('mmseg-internimage') == internimage.__version__
