"""A video with the classes laid over every frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np

from ...errors import StateError
from .batches import Batches
from .classes import Classes
from .overlay import blend, draw_legend
from .pictures import write_png
from .results import Task
from .video import Frame, VideoReader, write_video


def segment_video(
    task: Task, reader: VideoReader, batches: Batches, classes: Classes, opacity: float, advance: Callable[[int], None]
) -> int:
    """Write the overlay of a video, a legend of the classes in it, and label maps of its frames where they are wanted.

    Args:
        task: where.
        reader: the video.
        batches: segments the frames.
        classes: what the labels mean.
        opacity: of the colours over the frames.
        advance: is told how many frames more are done.

    Returns:
        The number of frames.

    Raises:
        ValueError: no frame can be read, or frames differ in size.
        RuntimeError: a frame cannot be segmented. The frames before it are in ``NAME.partial.mp4``.
        OSError: the video cannot be written.
    """
    areas = np.zeros(len(classes.names), np.int64)
    size = (0, 0)

    def overlays() -> Iterator[Frame]:
        nonlocal size
        first = 0
        for frames in _batched(reader, batches):
            for number, (frame, outcome) in enumerate(zip(frames, batches.segment(frames)), first):
                if isinstance(outcome, str):
                    raise StateError(f'frame {number}: {outcome}')
                labels, size = outcome.labels, frame.shape[:2]
                areas[:] += np.bincount(labels.ravel(), minlength=len(areas))
                if task.labels is not None:
                    write_png(task.labels / f'{number:06d}.png', labels)
                yield blend(frame, labels, classes.palette[:, ::-1], opacity)
            first += len(frames)
            advance(len(frames))

    try:
        return write_video(task.overlay, overlays(), reader.frame_rate)
    finally:
        if task.legend is not None and areas.any():
            legend = draw_legend(areas, classes, size)
            write_png(task.legend, cv2.cvtColor(legend, cv2.COLOR_RGB2BGR))


def _batched(frames: Iterable[Frame], batches: Batches) -> Iterator[list[Frame]]:
    """Yield as many frames at a time as go through the model together, which may become fewer."""
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) >= batches.size:
            yield batch
            batch = []
    if batch:
        yield batch
