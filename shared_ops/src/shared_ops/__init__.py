"""Deformable operators for PyTorch, with CPU and CUDA kernels and plain-PyTorch references."""

from . import reference
from ._library import kernels_available
from ._version import __version__
from .ms_deform_attn import MSDeformAttn, ms_deform_attn

__all__ = ['MSDeformAttn', '__version__', 'kernels_available', 'ms_deform_attn', 'reference']
