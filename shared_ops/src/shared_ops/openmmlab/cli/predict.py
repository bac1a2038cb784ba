"""``predict``: label maps and overlays of many pictures, and of videos."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from ...errors import FileError, InputError
from ..inference.batches import Batches, reason
from ..inference.images import find_images
from ..inference.pictures import read_picture
from ..inference.progress import picture_progress
from ..inference.results import Task, Wanted, plan, prepare_folder, write_classes, write_results
from ..inference.segmenter import Segmenter
from ..inference.video import VideoReader, is_video, partial_name
from ..inference.video_overlay import segment_video


@dataclass
class _Outcome:
    """What has become of the tasks so far."""

    pictures: int = 0
    videos: list[tuple[Path, int]] = field(default_factory=list)  # overlay and number of frames
    problems: list[tuple[Path, str]] = field(default_factory=list)


def predict(
    load: Callable[[], Segmenter],
    images: Sequence[str],
    wanted: Wanted,
    *,
    batch: int = 1,
    skip_existing: bool = False,
) -> int:
    """Segment pictures and videos; write label maps and overlays into a folder.

    A label map has the size of its picture, one channel, and the index of a class in every pixel: 8 bits, or 16 where
    there are more than 255 classes. What fails is skipped, and listed at the end. Results of an earlier run are
    replaced, one by one, as soon as the new ones are complete.

    Args:
        load: makes the model, when all else has been found usable.
        images: files, folders and patterns, see :func:`~shared_ops.openmmlab.inference.images.find_images`.
        wanted: what is written, and where.
        batch: how many pictures of the same size may go through the model together.
        skip_existing: whether what has all its results already is left out.

    Returns:
        0, or 1 if something was skipped or ended early.

    Raises:
        ValueError: an argument cannot be used.
        OSError: the folder cannot be written, or has no space left; what was done is there, and was reported.
        KeyboardInterrupt: the user has enough; what was done is there, and was reported.
    """
    if not 0 <= wanted.opacity <= 1:
        raise InputError(f'opacity is {wanted.opacity}; it goes from 0 (the picture alone) to 1 (the colours alone)')
    if batch < 1:
        raise InputError(f'batch is {batch}; at least 1 picture goes through the model at a time')
    tasks = plan(find_images(images, except_below=wanted.folder), wanted)
    prepare_folder(wanted)
    left = [task for task in tasks if not (skip_existing and all(path.exists() for path in task.files))]
    if len(left) < len(tasks):
        print(f'{len(tasks) - len(left)} of {len(tasks)} have their results already')
    if not left:
        return 0

    segmenter = load()
    write_classes(segmenter.classes, wanted)
    outcome = _Outcome()
    try:
        with picture_progress(Console(stderr=True, highlight=False, soft_wrap=True)) as progress:
            batches = Batches(segmenter, batch, logits=wanted.logits)
            _segment_pictures(left, segmenter, batches, wanted, outcome, progress)
            for task in left:
                if is_video(task.source):
                    _segment_one_video(task, segmenter, batches, wanted, outcome, progress)
    finally:  # after an interruption too
        _report(left, wanted, outcome)
    return 1 if outcome.problems else 0


def _segment_pictures(
    tasks: Sequence[Task],
    segmenter: Segmenter,
    batches: Batches,
    wanted: Wanted,
    outcome: _Outcome,
    progress: Progress,
) -> None:
    pending = [task for task in tasks if not is_video(task.source)]
    bar = progress.add_task('segmenting', total=len(pending), visible=len(pending) > 1)
    while pending:
        size = batches.size
        group, pending = pending[:size], pending[size:]
        pictures: list[tuple[Task, NDArray[np.uint8]]] = []
        for task in group:
            try:
                # read once, so that the overlay shows what the model saw
                pictures.append((task, read_picture(task.source)))
            except Exception as error:
                outcome.problems.append((task.source, reason(error)))
        found = batches.segment([picture for _, picture in pictures]) if pictures else []
        for (task, picture), result in zip(pictures, found):
            if isinstance(result, str):
                outcome.problems.append((task.source, result))
                continue
            try:
                write_results(task, picture, result, segmenter.classes, wanted.opacity)
                outcome.pictures += 1
            except Exception as error:
                outcome.problems.append((task.source, reason(error)))
                # hours of work would go the same way
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise FileError(
                        f'--out {wanted.folder} has no space left: make room; --skip-existing goes on from here'
                    ) from error
        if batches.size < size:
            progress.console.print(f'{size} pictures at a time are too many for the memory: now {batches.size}')
        progress.advance(bar, len(group))


def _segment_one_video(
    task: Task, segmenter: Segmenter, batches: Batches, wanted: Wanted, outcome: _Outcome, progress: Progress
) -> None:
    try:
        reader = VideoReader(task.source)
        bar = progress.add_task(escape(task.source.name), total=reader.announced)
        number = segment_video(
            task, reader, batches, segmenter.classes, wanted.opacity, lambda frames: progress.advance(bar, frames)
        )
        progress.update(bar, visible=False)
    except (Exception, KeyboardInterrupt) as error:
        what = 'interrupted' if isinstance(error, KeyboardInterrupt) else reason(error)
        if (partial := partial_name(task.overlay)).exists():
            what += f'; the frames before that are in {partial}'
        outcome.problems.append((task.source, what))
        if isinstance(error, KeyboardInterrupt):
            raise
        return
    outcome.videos.append((task.overlay, number))
    if reader.announced and number < reader.announced:
        outcome.problems.append(
            (task.source, f'only {number} of its {reader.announced} frames can be read; these are in {task.overlay}')
        )


def _report(tasks: Sequence[Task], wanted: Wanted, outcome: _Outcome) -> None:
    number = sum(not is_video(task.source) for task in tasks)
    if number:
        folders = [wanted.folder / name for name in ('labels', 'overlays', *(['logits'] if wanted.logits else []))]
        *most, last = map(str, folders)
        print(f'{outcome.pictures} of {number} images segmented: {", ".join(most)} and {last}')
    for path, frames in outcome.videos:
        print(f'{frames} frames segmented: {path}')
    if outcome.problems:
        print(f'{len(outcome.problems)} skipped or incomplete:', file=sys.stderr)
        for path, what in outcome.problems:
            print(f'  {path}: {what}', file=sys.stderr)
