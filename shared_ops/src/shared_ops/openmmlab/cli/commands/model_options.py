"""What the commands that run a model have in common: where it runs, how exactly, and where its weights come from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ...zoo.configs import Configs

if TYPE_CHECKING:
    import torch

    from ...inference.segmenter import Segmenter


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, ``--amp``, ``--tta`` and ``--cfg-options``."""
    from mmengine.config import DictAction

    parser.add_argument('--device', help='such as cpu, cuda or cuda:1 (default: cuda where there is one)')
    parser.add_argument(
        '--amp',
        choices=('bf16', 'fp16'),
        help='compute in mixed precision: bf16; fp16 is refused, because its range is too small for these models',
    )
    parser.add_argument('--tta', action='store_true', help="average the views of the config's tta_pipeline")
    parser.add_argument(
        '--cfg-options',
        metavar='KEY=VALUE',
        nargs='+',
        type=_setting,
        action=DictAction,
        default={},
        help='settings of the config to change, such as model.test_cfg.mode=whole',
    )


def check_model_options(options: argparse.Namespace) -> None:
    """Check device and precision, before anything is downloaded or loaded for them.

    Raises:
        ValueError: this machine does not have them.
    """
    from ...inference.device import check_precision, choose_device

    check_precision(_precision(options), choose_device(options.device))


def load_segmenter(options: argparse.Namespace, configs: Configs, config: str, checkpoint: str | None) -> Segmenter:
    """Load a model as the options say.

    Args:
        options: those of :func:`add_model_options`.
        configs: where the name of the config is looked up.
        config: name or file.
        checkpoint: file with the weights; None for the published ones, which are downloaded if need be.

    Raises:
        ValueError: the config is not known, has no published checkpoint, or the options cannot be used.
    """
    from ...inference.segmenter import Segmenter

    path = configs.find(config)
    if checkpoint is None:
        from ...zoo import checkpoint_of

        checkpoint = str(checkpoint_of(configs.package, config))
    return Segmenter.load(
        path,
        checkpoint,
        device=options.device,
        amp=_precision(options),
        tta=options.tta,
        cfg_options=options.cfg_options,
    )


def _setting(text: str) -> str:
    if '=' not in text:
        raise argparse.ArgumentTypeError(f'{text!r} is not KEY=VALUE; what is no setting comes before this option')
    return text


def _precision(options: argparse.Namespace) -> torch.dtype | None:
    import torch

    return {'bf16': torch.bfloat16, 'fp16': torch.float16, None: None}[options.amp]
