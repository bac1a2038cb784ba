"""The package's frame: it installs and imports alone, in step with shared_ops."""

import importlib.metadata
import importlib.util

import internimage

import shared_ops


def test_versions_are_in_step() -> None:
    assert internimage.__version__ == shared_ops.__version__
    if importlib.util.find_spec('internimage').origin.endswith('site-packages/internimage/__init__.py'):
        assert importlib.metadata.version('mmseg-internimage') == internimage.__version__
