"""The command line that every package has as ``python -m PACKAGE``."""

from .main import main

__all__ = ['main']
