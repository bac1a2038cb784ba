"""ViT-CoMer for MMSegmentation 1.x.

Import it before ``mmseg.apis``: it prepares OpenMMLab's packages and registers its backbones.
"""

from pathlib import Path

from shared_ops.openmmlab import prepare

prepare()

from ._version import __version__  # noqa: E402
from .vit_comer import ViTCoMer  # noqa: E402
from .vit_comer_beit import ViTCoMerBEiT  # noqa: E402

CONFIG_DIR = Path(__file__).parent / 'configs'

__all__ = ['CONFIG_DIR', 'ViTCoMer', 'ViTCoMerBEiT', '__version__']
