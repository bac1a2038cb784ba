"""From drawn scenes to a segmented picture in a few minutes on a CPU."""

from .run import ITERATIONS, run

__all__ = ['ITERATIONS', 'run']
