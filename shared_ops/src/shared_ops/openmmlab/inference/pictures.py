"""Pictures and arrays in files; what is written is there as a whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
from numpy.typing import NDArray

from ...errors import InputError
from ..files import whole


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture as MMSegmentation does: BGR, ``[H, W, 3]``, 8 bits, turned as EXIF says, without its alpha.

    Raises:
        ValueError: the file is no picture.
        OSError: the file cannot be read.
    """
    content = path.read_bytes()
    if not content:
        raise InputError('the file is empty')
    picture: NDArray[np.uint8] | None = mmcv.imfrombytes(content)
    if picture is None:
        raise InputError('it is no image, or a damaged one')
    return picture


def write_png(path: Path, image: NDArray[Any]) -> None:
    """Write a picture (BGR) or label map, uint8 or uint16, into a folder that is made if need be."""
    _, encoded = cv2.imencode('.png', image)
    with whole(path) as unfinished:
        unfinished.write_bytes(encoded.tobytes())


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as ``numpy.load`` reads it, into a folder that is made if need be."""
    with whole(path) as unfinished, unfinished.open('wb') as file:
        np.save(file, array)
