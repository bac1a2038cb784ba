"""Deformable operators for PyTorch, with CPU and CUDA kernels and plain-PyTorch references."""

from . import reference
from ._library import kernels_available
from ._version import __version__
from .dcnv3 import dcnv3
from .dcnv3_module import DCNv3
from .decompositions import decompositions
from .ms_deform_attn import ms_deform_attn
from .ms_deform_attn_module import MSDeformAttn

__all__ = [
    'DCNv3',
    'MSDeformAttn',
    '__version__',
    'dcnv3',
    'decompositions',
    'kernels_available',
    'ms_deform_attn',
    'reference',
]
