"""The package's frame: it installs and imports alone, in step with shared_ops."""

import importlib.metadata
import importlib.util

import vit_comer

import shared_ops


def test_versions_are_in_step() -> None:
    assert vit_comer.__version__ == shared_ops.__version__
    if importlib.util.find_spec('vit_comer').origin.endswith('site-packages/vit_comer/__init__.py'):
        assert importlib.metadata.version('mmseg-vit-comer') == vit_comer.__version__
