"""``compare``: what several models see on a picture."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from numpy.typing import NDArray
from rich.console import Console

from ...errors import FileError, InputError
from ..inference.classes import Classes
from ..inference.comparison_sheet import ModelResult, disagreement, draw_comparison
from ..inference.ground_truth import read_ground_truth, score
from ..inference.pictures import read_picture, write_png
from ..inference.progress import picture_progress
from ..inference.segmenter import Segmenter


@dataclass(frozen=True)
class Candidate:
    """A model to compare.

    Attributes:
        name: for the sheet.
        config: its config.
        load: makes the model.
    """

    name: str
    config: Config
    load: Callable[[], Segmenter]


def compare(picture: Path, candidates: Sequence[Candidate], out: Path, *, labels: Path | None = None) -> int:
    """Write a sheet with a picture, an overlay of every model, where they disagree, and a legend for all.

    The models are loaded one after another. Each segments the picture twice, and the second time is the one that is
    told: the first holds what happens but once.

    Args:
        picture: an image file.
        candidates: the models, which have the same classes.
        out: the sheet, a PNG file.
        labels: annotation of the picture; then the sheet shows it, and every model's pixel accuracy and mIoU.

    Returns:
        0.

    Raises:
        ValueError: an argument cannot be used, or the models have different classes.
        OSError: a file cannot be read or written.
    """
    inputs = [picture, *([labels] if labels else [])]
    _check_inputs(inputs)
    _check_out(out, inputs)
    try:
        content = read_picture(picture)
    except InputError as error:
        raise InputError(f'{picture}: {error}') from error

    results: list[ModelResult] = []
    classes: Classes | None = None
    truth: NDArray[np.uint8] | None = None
    with picture_progress(Console(stderr=True, highlight=False, soft_wrap=True)) as progress:
        bar = progress.add_task('comparing', total=2 * len(candidates))
        for candidate in candidates:
            progress.update(bar, description=candidate.name)
            segmenter = candidate.load()
            if classes is None:
                classes = segmenter.classes
                if labels is not None:
                    number = len(classes.names)
                    truth = read_ground_truth(labels, candidate.config, content.shape[:2], number)
            elif list(segmenter.classes.names) != list(classes.names):
                raise InputError(_different(candidates[0].name, classes, candidate.name, segmenter.classes))
            found, seconds = _segment(segmenter, content, lambda: progress.advance(bar))
            reached = None if truth is None else score(found, truth, len(classes.names))
            results.append(ModelResult(candidate.name, found, seconds, reached))
            device = segmenter.device
            del segmenter
            gc.collect()
            if device.type == 'cuda':
                torch.cuda.empty_cache()

    assert classes is not None
    title = f'{picture.name}, {content.shape[1]}x{content.shape[0]} pixels, on {_describe(device)}'
    sheet = draw_comparison(cv2.cvtColor(content, cv2.COLOR_BGR2RGB), results, classes, title=title, truth=truth)
    write_png(out, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    _report(results, out)
    return 0


def _check_inputs(inputs: Sequence[Path]) -> None:
    for path in inputs:
        try:
            with path.open('rb'):
                pass
        except OSError as error:
            raise FileError(f'{path} cannot be read: {error.strerror}; name an image file') from error


def _check_out(out: Path, inputs: Sequence[Path]) -> None:
    if out.suffix.lower() != '.png':
        raise InputError(f'--out {out} has to end in .png')
    if os.path.realpath(out) in map(os.path.realpath, inputs):
        raise InputError(f'--out {out} is one of the inputs, and the sheet would replace it; name another file')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f'--out {out} cannot be written: {error.strerror}; name another folder') from error
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise FileError(f'--out {out} cannot be written; name a file in a folder of yours')


def _segment(
    segmenter: Segmenter, picture: NDArray[np.uint8], advance: Callable[[], None]
) -> tuple[NDArray[np.integer], float]:
    segmenter([picture])
    advance()
    started = time.perf_counter()
    (found,) = segmenter([picture])
    seconds = time.perf_counter() - started
    advance()
    return found.labels, seconds


def _different(first: str, classes: Classes, second: str, others: Classes) -> str:
    def describe(each: Classes) -> str:
        return f'{len(each.names)} ({", ".join(each.names[:3])}, ...)'

    return (
        f'{first} has the classes {describe(classes)} and {second} has {describe(others)}; a sheet has one legend, so '
        f'compare models of the same data set'
    )


def _describe(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f'the {device.type.upper()} with {threads} thread{"s" if threads > 1 else ""}'


def _report(results: Sequence[ModelResult], out: Path) -> None:
    for result in results:
        line = f'{result.name}: {result.seconds:.3f} s'
        if result.score is not None:
            line += f', pixel accuracy {result.score.accuracy:.4f}, mIoU {result.score.mean_iou:.4f}'
        print(line)
    if len(results) > 1:
        share = float((disagreement([result.labels for result in results]) > 0).mean())
        print(f'they disagree in {100 * share:.1f}% of the pixels')
    print(out)
