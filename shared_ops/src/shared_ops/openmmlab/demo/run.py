"""The demo from beginning to end."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from rich.console import Console

from ...errors import FileError, InputError
from .color_classifier import color_baseline
from .config import check_package, write_config
from .pictures import draw_curves, draw_sheet, write_overlay
from .progress import train
from .scenes import CLASSES, SPLITS, Image, read_data_set, write_data_set

GOAL = 70.0
ITERATIONS = 900
_CONFIG = 'demo_config.py'
_SHOWN = 8


def run(
    package: str,
    out_dir: Path,
    *,
    seed: int = 0,
    iterations: int = ITERATIONS,
    splits: dict[str, int] | None = None,
) -> int:
    """Draw scenes, train the package's model on them, evaluate it, and draw what it sees.

    Args:
        package: import name of an installed package of this project.
        out_dir: a new or empty folder, or one of an earlier demo, which is overwritten.
        seed: seed of the scenes, the initial weights and the order of training.
        iterations: number of training steps.
        splits: number of scenes to draw, by split (default: ``scenes.SPLITS``).

    Returns:
        0 where the model learned, which is an mIoU above ``GOAL`` on held-back scenes; 1 otherwise.

    Raises:
        ValueError: an argument cannot be used, or ``out_dir`` holds files of something else.
        OSError: ``out_dir`` cannot be written.
    """
    if iterations < 1:
        raise InputError(f'iterations is {iterations}; at least 1 is needed')
    check_package(package)
    started = time.monotonic()
    console = Console(highlight=False, soft_wrap=True)
    out_dir = _prepare_folder(out_dir)
    splits = SPLITS if splits is None else splits

    write_config(package, out_dir / _CONFIG, seed=seed, iterations=iterations, train_scenes=splits['train'])
    data = out_dir / 'data'
    console.print(f'Drawing {splits["train"]} scenes to learn from and {splits["val"]} held back: {data}')
    write_data_set(data, seed, splits)
    baseline = color_baseline(read_data_set(data, 'train'), read_data_set(data, 'val'), len(CLASSES))
    console.print(f'A classifier that sees the colour of one pixel reaches mIoU {baseline:.1f}.')

    device = 'a GPU' if torch.cuda.is_available() else f'{torch.get_num_threads()} CPU threads'
    console.print(f'Training a small model of {package} from random weights on {device}: {out_dir / _CONFIG}')
    runner, curves = train(Config.fromfile(out_dir / _CONFIG), console)
    mean_iou = curves.mean_ious[-1]

    scenes = _predict(runner, data)
    for name, *scene in scenes:
        write_overlay(out_dir / 'overlays' / f'{name}.png', *scene)
    title = f'{package} after {iterations} iterations: mIoU {mean_iou:.1f} on held-back scenes'
    draw_sheet(out_dir / 'sheet.png', [scene[1:] for scene in scenes[:_SHOWN]], title)
    draw_curves(out_dir / 'curves.png', curves, baseline=baseline, goal=GOAL)

    learned = mean_iou > GOAL
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    console.print(
        f'\nmIoU on held-back scenes: {mean_iou:.1f} (colour of the pixel alone: {baseline:.1f},'
        f' goal: above {GOAL:.0f}), after {minutes} min {seconds} s.'
    )
    for what, path in {
        'what it sees': 'sheet.png',
        'every held-back scene': 'overlays',
        'loss and mIoU': 'curves.png',
        'config': _CONFIG,
        'checkpoint, log': 'training',
    }.items():
        console.print(f'  {what:22}{out_dir / path}')
    if not learned:
        console.print(
            f'The model has NOT learned the scenes: mIoU {mean_iou:.1f} is not above {GOAL:.0f}'
            f' after {iterations} iterations.'
        )
    return 0 if learned else 1


def _prepare_folder(out_dir: Path) -> Path:
    out_dir = Path(out_dir).absolute()
    if out_dir.exists() and not out_dir.is_dir():
        raise FileError(f'out_dir {out_dir} is a file; name a folder')
    if out_dir.is_dir() and any(out_dir.iterdir()) and not (out_dir / _CONFIG).exists():
        raise InputError(f'out_dir {out_dir} holds files that no demo wrote; name a new or an empty folder')
    try:
        (out_dir / 'overlays').mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f'out_dir {out_dir} cannot be written: {error.strerror}') from error
    return out_dir


def _predict(runner: Runner, data: Path) -> list[tuple[str, Image, Image, Image]]:
    """Return name, picture, truth and prediction of every held-back scene."""
    runner.model.eval()
    predictions = {}
    with torch.no_grad():
        for batch in runner.val_dataloader:
            for sample in runner.model.test_step(batch):
                predictions[Path(sample.img_path).stem] = sample.pred_sem_seg.data[0].cpu().numpy()
    return [
        (name, picture, truth, predictions[name])
        for name, (picture, truth) in zip(sorted(predictions), read_data_set(data, 'val'))
    ]
