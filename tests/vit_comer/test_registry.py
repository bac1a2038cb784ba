"""Importing the package adds to MMSegmentation's registries and replaces nothing in them."""

import importlib.metadata
import importlib.util

import vit_comer

import mmseg.registry
import pytest
from mmseg.utils import register_all_modules

import shared_ops


@pytest.mark.parametrize(
    ('registry', 'name'),
    [
        ('MODELS', 'EncoderDecoder'),
        ('OPTIM_WRAPPER_CONSTRUCTORS', 'LayerDecayOptimizerConstructor'),
        ('TRANSFORMS', 'ResizeToMultiple'),
    ],
)
def test_entries_with_names_like_the_originals(registry: str, name: str) -> None:
    register_all_modules()
    assert getattr(mmseg.registry, registry).get(name).__module__.startswith('mmseg.')


def test_ours() -> None:
    register_all_modules()
    assert mmseg.registry.MODELS.get('ViTCoMer') is vit_comer.ViTCoMer
    assert mmseg.registry.MODELS.get('ViTCoMer_beit') is vit_comer.ViTCoMerBEiT


def test_versions_are_in_step() -> None:
    assert vit_comer.__version__ == shared_ops.__version__
    if importlib.util.find_spec('vit_comer').origin.endswith('site-packages/vit_comer/__init__.py'):
        assert importlib.metadata.version('mmseg-vit-comer') == vit_comer.__version__
