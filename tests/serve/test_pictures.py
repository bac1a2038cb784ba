"""What files a picture is read from, and what is said of the others."""

import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from shared_ops.openmmlab.serve.pictures import read_picture, shrink


def colors(height: int, width: int, channels: int = 3) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (height, width, channels)).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def turned_clockwise() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def bomb() -> bytes:
    """Return a PNG whose header promises 60000 × 60000 pixels."""
    content = bytearray(encoded(Image.new('L', (1, 1)), 'PNG'))
    content[16:24] = (60000).to_bytes(4, 'big') * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, 'big')
    return bytes(content)


@pytest.mark.parametrize(
    'content',
    [
        cv2.imencode('.png', colors(7, 5))[1].tobytes(),
        cv2.imencode('.png', colors(7, 5, 1))[1].tobytes(),
        cv2.imencode('.png', colors(7, 5, 4))[1].tobytes(),
        cv2.imencode('.png', colors(7, 5).astype(np.uint16) * 257)[1].tobytes(),
        cv2.imencode('.tiff', colors(7, 5))[1].tobytes(),
        cv2.imencode('.webp', colors(7, 5))[1].tobytes(),
        encoded(Image.fromarray(colors(7, 5)).convert('P'), 'PNG'),
        encoded(Image.fromarray(colors(7, 5, 4), 'CMYK'), 'JPEG'),
        encoded(Image.fromarray(colors(5, 7)), 'JPEG', exif=turned_clockwise()),
    ],
    ids=['colour', 'grey', 'alpha', '16 bits', 'tiff', 'webp', 'palette', 'cmyk', 'turned'],
)  # fmt: skip
def test_kinds_that_are_read(content: bytes) -> None:
    picture = read_picture(content)
    assert picture.shape == (7, 5, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 20


def test_colours_and_turning_are_right() -> None:
    """Red on the left, then turned clockwise by EXIF, is red on top; and CMYK is no negative."""
    red_left = Image.new('RGB', (64, 32), 'blue')
    red_left.paste('red', (0, 0, 32, 32))
    picture = read_picture(encoded(red_left, 'JPEG', exif=turned_clockwise()))
    assert picture.shape == (64, 32, 3)
    assert np.abs(picture[:24].astype(int) - (0, 0, 254)).max() < 12  # BGR
    assert np.abs(read_picture(encoded(red_left.convert('CMYK'), 'JPEG'))[:, :24].astype(int) - (0, 0, 254)).max() < 12


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'The file is empty'),
        (b'<!doctype html>', 'no image'),
        (encoded(Image.new('RGB', (9, 9)), 'PNG')[:30], 'damaged'),
        (b'\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'Save the picture as JPEG'),
        (bomb(), 'million pixels'),
    ],
    ids=['empty', 'page', 'cut', 'heic', 'bomb'],
)
def test_what_is_not_read(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_picture(content)


def test_shrink_keeps_proportions() -> None:
    assert shrink(colors(300, 200), 150).shape == (150, 100, 3)
    assert shrink(colors(1, 900), 90).shape == (1, 90, 3)
    small = colors(10, 20)
    assert shrink(small, 20) is small
