"""Mask2Former (https://arxiv.org/abs/2112.01527) for semantic segmentation: the one part that needs MMDetection.

Importing it registers ``SemanticMask2FormerHead``; configs do so with ``custom_imports``.
"""

import importlib.util

from ..prepare import prepare

if importlib.util.find_spec('mmdet') is None:
    raise ImportError(
        'Mask2Former is built on MMDetection, which is not installed. Install it with the package whose configs you '
        "use: pip install 'mmseg-vit-adapter[mask2former]' or pip install 'mmseg-internimage[mask2former]'; beside "
        "OpenMMLab's own releases: pip install mmdet==3.3.0"
    )
prepare()

from .head import SemanticMask2FormerHead  # noqa: E402

__all__ = ['SemanticMask2FormerHead']
