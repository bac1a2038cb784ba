"""Frames of a video, from a file and into a file."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import FileError, InputError

Frame = NDArray[np.uint8]

SUFFIXES = frozenset({'.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv'})
# What OpenCV can write everywhere, by the kind of file; others become .mp4. It has VP9 too, but takes 50 times as long.
_CODECS = {'.avi': 'MJPG', '.m4v': 'mp4v', '.mkv': 'mp4v', '.mov': 'mp4v', '.mp4': 'mp4v'}
# for files that do not say how fast they are
_FRAME_RATE = 25.0


def is_video(path: Path) -> bool:
    """Tell by its name whether a file is a video."""
    return path.suffix.lower() in SUFFIXES


def written_suffix(path: Path) -> str:
    """Return what the name of a video ends in that is made from another."""
    return path.suffix if path.suffix.lower() in _CODECS else '.mp4'


class VideoReader:
    """The frames of a video file, from the first to the last that can be read.

    Args:
        path: the file.

    Attributes:
        frame_rate: frames per second.
        announced: how many frames the file says it has, or None.

    Raises:
        ValueError: the file is no video, or in a codec that OpenCV does not know.
    """

    def __init__(self, path: Path) -> None:
        if path.is_file() and not path.stat().st_size:
            raise InputError('the file is empty')
        self._capture = cv2.VideoCapture(os.fspath(path))
        if not self._capture.isOpened():
            raise InputError(
                'it is no video, is damaged, or is in a codec that OpenCV does not know; where a player shows it, '
                '`ffmpeg -i IN -c:v libx264 OUT.mp4` makes one of it that OpenCV knows'
            )
        frame_rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.frame_rate = frame_rate if math.isfinite(frame_rate) and 0 < frame_rate <= 1000 else _FRAME_RATE
        number = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.announced = int(number) if math.isfinite(number) and number > 0 else None

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame once, uint8 ``[H, W, 3]``, BGR.

        Raises:
            ValueError: no frame can be read.
        """
        found = False
        try:
            while True:
                there, frame = self._capture.read()
                if not there or frame is None:
                    break
                found = True
                yield frame
        finally:
            self._capture.release()
        if not found:
            raise InputError('it holds no frame that can be read')


def write_video(path: Path, frames: Iterable[Frame], frame_rate: float) -> int:
    """Write frames into a video file as they come.

    Until the last one is there, the file has the name of :func:`partial_name`. It stays, and plays, if the frames end
    with an error.

    Args:
        path: the file, whose folder is made if need be; an older one is replaced.
        frames: uint8 ``[H, W, 3]``, BGR, all of one size. A side of an odd length gets its last line of pixels twice,
            since the codecs store colours by pairs of pixels.
        frame_rate: frames per second.

    Returns:
        The number of frames.

    Raises:
        ValueError: a frame differs in size from the first.
        OSError: the file cannot be written.
    """
    partial = partial_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial.unlink(missing_ok=True)
    writer = None
    number, size = 0, (0, 0)
    try:
        for frame in frames:
            if writer is None:
                size = frame.shape[:2]
                writer = _open(partial, frame_rate, size)
            elif frame.shape[:2] != size:
                raise InputError(
                    f'frame {number} has {frame.shape[1]}x{frame.shape[0]} pixels, those before {size[1]}x{size[0]}'
                )
            writer.write(cv2.copyMakeBorder(frame, 0, size[0] % 2, 0, size[1] % 2, cv2.BORDER_REPLICATE))
            number += 1
    finally:
        if writer is not None:
            writer.release()
    if writer is not None:
        # OpenCV says nothing where the disk is full
        if not _holds(partial, number):
            raise FileError(f'{partial} does not hold all of its {number} frames; is there space?')
        os.replace(partial, path)
    return number


def partial_name(path: Path) -> Path:
    """Return what a video is called while it is being written, ``NAME.partial.mp4``."""
    return path.with_name(f'{path.stem}.partial{path.suffix}')


def _holds(path: Path, number: int) -> bool:
    capture = cv2.VideoCapture(os.fspath(path))
    try:
        return all(capture.grab() for _ in range(number))
    finally:
        capture.release()


def _open(path: Path, frame_rate: float, size: tuple[int, int]) -> cv2.VideoWriter:
    codec = _CODECS[path.suffix.lower()]
    height, width = (side + side % 2 for side in size)
    writer = cv2.VideoWriter(os.fspath(path), cv2.VideoWriter.fourcc(*codec), frame_rate, (width, height))
    if not writer.isOpened():
        raise FileError(
            f'OpenCV could not begin {path} ({width}x{height}, {frame_rate:g} frames per second, {codec}); is there '
            f'space, and does this OpenCV have FFmpeg (cv2.getBuildInformation())?'
        )
    return writer
