"""ViT-Adapter for MMSegmentation 1.x.

Import it before ``mmseg.apis``: it prepares OpenMMLab's packages and registers ``ViTAdapter``.
"""

from pathlib import Path

from shared_ops.openmmlab import prepare

prepare()

from ._version import __version__  # noqa: E402
from .vit_adapter import ViTAdapter  # noqa: E402

CONFIG_DIR = Path(__file__).parent / 'configs'

__all__ = ['CONFIG_DIR', 'ViTAdapter', '__version__']
