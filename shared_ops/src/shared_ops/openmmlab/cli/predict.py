"""``predict``: label maps and overlays of many pictures."""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmengine.config import Config
from mmseg.apis import inference_model, init_model
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..inference.classes import Classes, classes_of
from ..inference.images import find_images, output_names
from ..inference.overlay import draw_overlay
from ..messages import first_line


def predict(
    config: Path,
    checkpoint: str,
    images: Sequence[str],
    out_dir: Path,
    *,
    device: str | None = None,
    opacity: float = 0.5,
    cfg_options: dict[str, Any] | None = None,
) -> int:
    """Segment pictures; write ``labels/NAME.png`` and ``overlays/NAME.png`` into a folder.

    A label map has the size of its picture, one channel, and the index of a class in every pixel: 8 bits, or 16 where
    there are more than 255 classes. A picture that fails is skipped, and listed at the end.

    Args:
        config: a config of MMSegmentation.
        checkpoint: file with the weights.
        images: files, folders and patterns, see :func:`~shared_ops.openmmlab.inference.images.find_images`.
        out_dir: where to write; it is made if need be.
        device: for PyTorch (default: ``'cuda'`` where there is one, else ``'cpu'``).
        opacity: of the colours in the overlays, 0 to 1.
        cfg_options: settings of the config to change, by dotted names.

    Returns:
        0, or 1 if pictures were skipped.

    Raises:
        ValueError: an argument cannot be used, or the checkpoint cannot be read.
        FileNotFoundError: the checkpoint does not exist.
        RuntimeError: the checkpoint does not fit the config.
        OSError: the folder cannot be written.
    """
    if not 0 <= opacity <= 1:
        raise ValueError(f'opacity is {opacity}; it goes from 0 (the picture alone) to 1 (the colours alone)')
    chosen = _choose_device(device)
    found = find_images(images, except_below=out_dir)
    _prepare_folder(out_dir)
    model, classes = _load(config, checkpoint, chosen, cfg_options or {})

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (TextColumn('segmenting'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    skipped: list[tuple[Path, str]] = []
    with Progress(*columns, console=console, disable=len(found) == 1, transient=True) as progress:
        for image, name in progress.track(list(zip(found, output_names(found)))):
            try:
                _predict_one(model, classes, image.path, out_dir, name, opacity)
            except Exception as error:  # whatever is wrong with one picture must not cost the others
                skipped.append((image.path, _reason(error)))
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
    return _report(len(found), skipped, out_dir)


def _choose_device(device: str | None) -> torch.device:
    if device is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f'device {device!r} cannot be used here: {first_line(error)}; --device cpu can') from error
    return chosen


def _prepare_folder(out_dir: Path) -> None:
    if out_dir.exists() and not out_dir.is_dir():
        raise NotADirectoryError(f'--out {out_dir} is a file; name a folder')
    try:
        for folder in (out_dir / 'labels', out_dir / 'overlays'):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise OSError(f'--out {out_dir} cannot be written: {error.strerror}; name another folder') from error


def _load(
    path: Path, checkpoint: str, device: torch.device, cfg_options: dict[str, Any]
) -> tuple[torch.nn.Module, Classes]:
    config = Config.fromfile(path)
    config.merge_from_dict(cfg_options)
    if 'test_pipeline' not in config:
        raise ValueError(f'config {path} has no test_pipeline, which says how a picture is prepared')
    # MMSegmentation says which file it reads, warns of losses, which are not used here, and guesses class names, which
    # `classes_of` knows better. It resets the filters of warnings, so that these are sorted afterwards.
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True) as caught:
        model = init_model(config, checkpoint, device=str(device))
    for each in caught:
        if not re.match(
            'dataset_meta or class names|No suitable dataset|Default ``avg_non_ignore``', str(each.message)
        ):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return model, classes_of(model, config)


def _predict_one(
    model: torch.nn.Module, classes: Classes, path: Path, out_dir: Path, name: str, opacity: float
) -> None:
    # read once, so that the overlay shows what the model saw
    picture = _read(path)
    result = inference_model(model, picture)
    indices = result.pred_sem_seg.data[0].cpu().numpy()
    labels = indices.astype(np.uint8 if len(classes.names) <= 255 else np.uint16)
    overlay = draw_overlay(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), labels, classes, opacity)
    _write(out_dir / 'labels' / f'{name}.png', labels)
    _write(out_dir / 'overlays' / f'{name}.png', cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))


def _read(path: Path) -> NDArray[np.uint8]:
    """Read a picture as MMSegmentation does: BGR, ``[H, W, 3]``, 8 bits, turned as EXIF says, without its alpha."""
    content = path.read_bytes()
    if not content:
        raise ValueError('the file is empty')
    picture: NDArray[np.uint8] | None = mmcv.imfrombytes(content)
    if picture is None:
        raise ValueError('it is no image, or a damaged one')
    return picture


def _write(path: Path, image: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode('.png', image)
    path.write_bytes(encoded.tobytes())


def _reason(error: Exception) -> str:
    kind = '' if isinstance(error, ValueError) else f'{type(error).__name__}: '
    return f'{kind}{first_line(error)}'


def _report(number: int, skipped: list[tuple[Path, str]], out_dir: Path) -> int:
    done = number - len(skipped)
    print(f'{done} of {number} images segmented: {out_dir / "labels"} and {out_dir / "overlays"}')
    if skipped:
        print(f'{len(skipped)} skipped:', file=sys.stderr)
        for path, reason in skipped:
            print(f'  {path}: {reason}', file=sys.stderr)
    return 1 if skipped else 0
