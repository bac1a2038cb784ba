"""From drawn scenes to a segmented picture in a few minutes on a CPU."""

from .run import run

__all__ = ['run']
