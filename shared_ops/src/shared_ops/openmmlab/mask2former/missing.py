"""What stands for the head where MMDetection is not installed: configs can be read, and building says what to install.

An error while this package is imported would not do: MMEngine tells users to set ``PYTHONPATH`` then.
"""

from typing import Any, NoReturn

from mmseg.registry import MODELS

from ...errors import InstallationError


@MODELS.register_module()
class SemanticMask2FormerHead:
    """Cannot be built.

    Args:
        arguments: of the head.

    Raises:
        ImportError: always; it has the line to install MMDetection with.
    """

    def __init__(self, **arguments: Any) -> NoReturn:
        raise InstallationError(
            'Mask2Former is built on MMDetection, which is not installed. Install it with the package whose configs '
            "you use: pip install 'mmseg-vit-adapter[mask2former]', 'mmseg-vit-comer[mask2former]' or "
            "'mmseg-internimage[mask2former]'; beside OpenMMLab's own releases: pip install mmdet==3.3.0"
        )
