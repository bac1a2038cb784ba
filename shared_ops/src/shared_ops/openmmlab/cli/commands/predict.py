"""``predict``: label maps and overlays of pictures."""

import argparse
import contextlib
import io
from pathlib import Path

from ..configs import Configs
from .config_argument import add_config


def add(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Add the parser of ``predict``."""
    from mmengine.config import DictAction

    predict = commands.add_parser(
        'predict',
        help='write label maps and coloured overlays of pictures',
        description='Segment pictures. DIR/labels gets the class index of every pixel, DIR/overlays the pictures with '
        'the classes laid over them and a legend.',
        epilog='Exit status: 0 if all pictures were segmented, 1 if some were skipped, 2 if none could be tried.',
    )
    add_config(predict)
    predict.add_argument('checkpoint', metavar='CHECKPOINT', help='file with the weights of the model')
    predict.add_argument(
        'images',
        metavar='IMAGES',
        nargs='+',
        help="image files, folders, which are searched for images at any depth, and patterns such as '**/*.jpg'",
    )
    predict.add_argument('--out', metavar='DIR', type=Path, required=True, help='folder to write into')
    predict.add_argument('--device', help='such as cpu, cuda or cuda:1 (default: cuda where there is one)')
    predict.add_argument(
        '--opacity', type=float, default=0.5, help='of the colours over the picture, 0 to 1 (default: %(default)s)'
    )
    predict.add_argument(
        '--cfg-options',
        metavar='KEY=VALUE',
        nargs='+',
        action=DictAction,
        default={},
        help='settings of the config to change, such as model.test_cfg.mode=whole',
    )
    predict.set_defaults(run=_predict)


def _predict(options: argparse.Namespace, configs: Configs) -> int:
    # MMSegmentation prints debugging lines when it is imported
    with contextlib.redirect_stdout(io.StringIO()):
        from ..predict import predict

    return predict(
        configs.find(options.config),
        options.checkpoint,
        options.images,
        options.out,
        device=options.device,
        opacity=options.opacity,
        cfg_options=options.cfg_options,
    )
