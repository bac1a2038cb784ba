"""ViT-Adapter for MMSegmentation 1.x.

Import it before ``mmseg.apis``: it prepares OpenMMLab's packages and registers the backbones.
"""

from pathlib import Path

from shared_ops.openmmlab import prepare

prepare()

from ._version import __version__  # noqa: E402
from .beit_adapter import BEiTAdapter  # noqa: E402
from .beit_baseline import BEiTBaseline  # noqa: E402
from .uniperceiver_adapter import UniPerceiverAdapter  # noqa: E402
from .vit_adapter import ViTAdapter  # noqa: E402
from .vit_baseline import ViTBaseline  # noqa: E402

CONFIG_DIR = Path(__file__).parent / 'configs'

__all__ = [
    'CONFIG_DIR',
    'BEiTAdapter',
    'BEiTBaseline',
    'UniPerceiverAdapter',
    'ViTAdapter',
    'ViTBaseline',
    '__version__',
]
