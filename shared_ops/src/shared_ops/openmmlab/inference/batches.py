"""Many pictures through a model at a time, as many as memory and the pictures allow."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import InputError, UserError
from ..memory import is_out_of_memory
from ..messages import first_line
from .segmenter import Segmentation, Segmenter


class Batches:
    """A segmenter for pictures of which some may fail.

    A batch that fails is divided until it is known which pictures do. Where memory was not enough, the later batches
    are smaller too.

    Args:
        segmenter: what segments.
        size: how many pictures may go through the model together, at least 1.
        logits: whether the scores are wanted as well.

    Attributes:
        size: how many pictures to give at a time.

    Raises:
        ValueError: the size is less than 1.
    """

    def __init__(self, segmenter: Segmenter, size: int, *, logits: bool = False) -> None:
        if size < 1:
            raise InputError(f'batch is {size}; at least 1 picture goes through the model at a time')
        self.size = size
        self._segmenter = segmenter
        self._logits = logits

    def segment(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Segmentation | str]:
        """Return the segmentation of every picture, or why there is none.

        Args:
            pictures: each uint8 ``[H, W, 3]``, BGR.
        """
        try:
            return list(self._segmenter(pictures, self._logits))
        except Exception as error:  # whatever is wrong with one picture must not cost the others
            if len(pictures) == 1:
                return [reason(error)]
            if is_out_of_memory(error):
                self.size = max(1, min(self.size, len(pictures)) // 2)
        # the error is gone, and with it the tensors that its trace held
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        middle = len(pictures) // 2
        return self.segment(pictures[:middle]) + self.segment(pictures[middle:])


def reason(error: Exception) -> str:
    """Say in a line what is wrong with a picture."""
    kind = '' if isinstance(error, UserError) else f'{type(error).__name__}: '
    return f'{kind}{first_line(error)}'
