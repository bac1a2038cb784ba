"""The files that ``predict`` makes of pictures and videos, and what they must not be written over."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import FileError, InputError
from .classes import Classes
from .images import FoundImage, output_names
from .overlay import draw_overlay
from .pictures import write_array, write_png
from .segmenter import Segmentation
from .video import is_video, written_suffix

_MEANING = 'classes.json'


@dataclass(frozen=True)
class Wanted:
    """What is written, and where.

    Attributes:
        folder: with ``labels``, ``overlays`` and ``logits`` in it; it is made if need be.
        opacity: of the colours in the overlays, 0 to 1.
        logits: whether the scores of pictures are written.
        frame_labels: whether a label map is written for every frame of a video.
    """

    folder: Path
    opacity: float = 0.5
    logits: bool = False
    frame_labels: bool = False


@dataclass(frozen=True)
class Task:
    """A picture or video, and the files that are made of it.

    Attributes:
        source: the file.
        overlay: the picture or video with the classes laid over it.
        labels: the label map; of a video, the folder of those of its frames, or None.
        logits: the scores of a picture, or None.
        legend: the colours of a video's overlay, or None.
    """

    source: Path
    overlay: Path
    labels: Path | None
    logits: Path | None = None
    legend: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All that is made, folders included."""
        return [path for path in (self.labels, self.overlay, self.logits, self.legend) if path is not None]


def plan(found: Sequence[FoundImage], wanted: Wanted) -> list[Task]:
    """Say which files are made of what, every one with a name of its own.

    Raises:
        ValueError: one of them is itself an input or would be made of two, or scores of a video are wanted.
    """
    tasks = [_task(image.path, name, wanted) for image, name in zip(found, output_names(found))]
    inputs = {os.path.realpath(image.path) for image in found}
    for task in tasks:
        for path in task.files:
            if os.path.realpath(path) in inputs:
                raise InputError(f'{path} is one of the inputs, and its results would replace it; name another --out')
        if wanted.logits and is_video(task.source):
            raise InputError(
                f'{task.source} is a video, whose scores would take the space of thousands of pictures; leave out '
                f'--save-logits, or give the frames that matter as pictures'
            )
    _check_distinct(tasks)
    return tasks


def prepare_folder(wanted: Wanted) -> None:
    """Make the folders, and see that files can be written there.

    Raises:
        ValueError: folders of these names are there, and hold files of somebody else, such as the annotations of a
            data set.
        OSError: they cannot.
    """
    out_dir = wanted.folder
    if out_dir.exists() and not out_dir.is_dir():
        raise FileError(f'--out {out_dir} is a file; name a folder')
    if not (out_dir / _MEANING).exists():  # it is written before any result
        for folder in (out_dir / 'labels', out_dir / 'overlays', out_dir / 'logits'):
            if folder.is_dir() and any(folder.iterdir()):
                raise InputError(
                    f'--out {out_dir} has a folder {folder.name} that is none of predict, since {_MEANING} is not '
                    f'beside it; its files could be replaced, so name another folder'
                )
    try:
        for folder in (out_dir / 'labels', out_dir / 'overlays'):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise FileError(f'--out {out_dir} cannot be written: {error.strerror}; name another folder') from error


def write_classes(classes: Classes, wanted: Wanted) -> None:
    """Write what the labels mean, ``classes.json``, in the form of a data set's ``metainfo`` in a config."""
    content = {'classes': list(classes.names), 'palette': classes.palette.tolist()}
    (wanted.folder / _MEANING).write_text(json.dumps(content, ensure_ascii=False) + '\n', encoding='utf-8')


def write_results(
    task: Task, picture: NDArray[np.uint8], segmentation: Segmentation, classes: Classes, opacity: float
) -> None:
    """Write label map, overlay and scores of a picture.

    Args:
        task: where.
        picture: uint8 ``[H, W, 3]``, BGR.
        segmentation: of the picture.
        classes: what the labels mean.
        opacity: of the colours over the picture.
    """
    overlay = draw_overlay(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), segmentation.labels, classes, opacity)
    if task.logits is not None and segmentation.logits is not None:
        write_array(task.logits, segmentation.logits.astype(np.float16))
    if task.labels is not None:
        write_png(task.labels, segmentation.labels)
    write_png(task.overlay, cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))


def _check_distinct(tasks: Sequence[Task]) -> None:
    """See that the legend and the frames of a video keep clear of the results of pictures that are called like them."""
    makers = {path: task.source for task in tasks for path in task.files}
    for task in tasks:
        for path in task.files:
            other = next(
                (makers[each] for each in (path, *path.parents) if makers.get(each, task.source) != task.source), None
            )
            if other is not None:
                raise InputError(
                    f'{path} would be made of {task.source} as well as of {other}; give them to predict one after the '
                    f'other, each with an --out of its own'
                )


def _task(source: Path, name: str, wanted: Wanted) -> Task:
    labels, overlays = wanted.folder / 'labels', wanted.folder / 'overlays'
    if is_video(source):
        return Task(
            source,
            overlays / f'{name}{written_suffix(source)}',
            labels / name if wanted.frame_labels else None,
            legend=overlays / f'{name}.legend.png',
        )
    logits = wanted.folder / 'logits' / f'{name}.npy' if wanted.logits else None
    return Task(source, overlays / f'{name}.png', labels / f'{name}.png', logits)
