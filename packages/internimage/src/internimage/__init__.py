"""InternImage for MMSegmentation 1.x.

Import it before ``mmseg.apis``: it prepares OpenMMLab's packages and registers ``InternImage``
and what its configs name beside it.
"""

from pathlib import Path

from shared_ops.openmmlab import prepare

prepare()

from ._version import __version__  # noqa: E402
from .datasets import NYUDepthV2Dataset  # noqa: E402
from .internimage import InternImage  # noqa: E402
from .optimizer import CustomLayerDecayOptimizerConstructor  # noqa: E402

CONFIG_DIR = Path(__file__).parent / 'configs'

__all__ = [
    'CONFIG_DIR',
    'CustomLayerDecayOptimizerConstructor',
    'InternImage',
    'NYUDepthV2Dataset',
    '__version__',
]
