"""ViT-CoMer for MMSegmentation 1.x.

Import it before ``mmseg.apis``: it prepares OpenMMLab's packages and registers ``ViTCoMer``.
"""

from pathlib import Path

from shared_ops.openmmlab import prepare

prepare()

from ._version import __version__  # noqa: E402
from .vit_comer import ViTCoMer  # noqa: E402

CONFIG_DIR = Path(__file__).parent / 'configs'

__all__ = ['CONFIG_DIR', 'ViTCoMer', '__version__']
