"""Mask2Former (https://arxiv.org/abs/2112.01527) for semantic segmentation: the one part that needs MMDetection.

Importing it registers ``SemanticMask2FormerHead``; configs do so with ``custom_imports``.
"""

import importlib.util

from ..prepare import prepare

prepare()

if importlib.util.find_spec('mmdet') is None:
    from .missing import SemanticMask2FormerHead
else:
    from .head import SemanticMask2FormerHead  # type: ignore[assignment]

__all__ = ['SemanticMask2FormerHead']
