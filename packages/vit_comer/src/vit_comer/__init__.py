"""ViT-CoMer for MMSegmentation 1.x."""

from ._version import __version__

__all__ = ['__version__']
