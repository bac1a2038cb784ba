"""What the packages need to live in MMEngine, MMCV and MMSegmentation 1.x.

A package calls :func:`prepare` before it imports anything of OpenMMLab; the other modules here may be imported after.
"""

from .prepare import prepare

__all__ = ['prepare']
