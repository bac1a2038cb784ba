"""From the bytes of any image file to a picture that a model can take."""

from __future__ import annotations

import io
import warnings

import cv2
import mmcv
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ...errors import InputError

# A file of a few kilobytes can say that it holds more pixels than there is memory; a camera's 100 megapixels are fine.
_MOST_PIXELS = 120_000_000
_BRANDS_OF_HEIC = {b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1'}


def read_picture(content: bytes) -> NDArray[np.uint8]:
    """Read a picture as ``predict`` does: 8 bits, turned as EXIF says, without its alpha.

    Args:
        content: an image file.

    Returns:
        uint8 ``[H, W, 3]``, BGR.

    Raises:
        ValueError: it is no image, a damaged one, one of a kind that is not read, or one of too many pixels.
    """
    if not content:
        raise InputError('The file is empty.')
    if content[4:8] == b'ftyp' and content[8:12] in _BRANDS_OF_HEIC:
        raise InputError('HEIC pictures are not read here. Save the picture as JPEG or PNG.')
    _check_size(content)
    try:
        picture: NDArray[np.uint8] | None = mmcv.imfrombytes(content)
    except cv2.error:
        picture = None
    if picture is None:
        raise InputError('The file is an image of a kind that is not read here, or a damaged one.')
    return picture


def shrink(picture: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    """Make a picture smaller, if its longer side has more than ``longest_side`` pixels, and keep its proportions."""
    height, width = picture.shape[:2]
    factor = longest_side / max(height, width)
    if factor >= 1:
        return picture
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _check_size(content: bytes) -> None:
    """Refuse what would be too large before it is unpacked."""
    try:
        # Pillow's own limit is lower, and a warning
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
    except Image.DecompressionBombError as error:
        raise InputError(f'The picture has more than {_MOST_PIXELS // 10**6} million pixels.') from error
    except UnidentifiedImageError as error:
        raise InputError('The file is no image, or a damaged one.') from error
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's readers raise about a damaged header
        raise InputError('The file is a damaged image.') from error
    if width * height > _MOST_PIXELS:
        raise InputError(
            f'The picture has {width} × {height} pixels; at most {_MOST_PIXELS // 10**6} million are read.'
        )
