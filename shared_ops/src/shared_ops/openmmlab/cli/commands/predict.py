"""``predict``: label maps and overlays of pictures and videos."""

import argparse
from pathlib import Path

from ...zoo.configs import Configs
from .config_argument import add_config
from .model_options import add_model_options, check_model_options, load_segmenter


def add(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Add the parser of ``predict``."""
    predict = commands.add_parser(
        'predict',
        help='write label maps and coloured overlays of pictures and videos',
        description='Segment pictures and videos. DIR/labels gets the class index of every pixel, DIR/overlays the '
        'pictures with the classes laid over them and a legend, DIR/classes.json what the indices mean.',
        epilog='Exit status: 0 if all was segmented, 1 if something was skipped, 2 if nothing could be tried.',
    )
    add_config(predict)
    predict.add_argument(
        'images',
        metavar='IMAGES',
        nargs='+',
        help="image and video files, folders, which are searched for images at any depth, and patterns like '**/*.jpg'",
    )
    predict.add_argument('--out', metavar='DIR', type=Path, required=True, help='folder to write into')
    predict.add_argument(
        '--checkpoint', metavar='FILE', help='the weights (default: the published ones, downloaded once)'
    )
    add_model_options(predict)
    predict.add_argument(
        '--batch',
        metavar='N',
        type=int,
        default=1,
        help='up to N pictures of the same size go through the model together (default: %(default)s)',
    )
    predict.add_argument(
        '--opacity', type=float, default=0.5, help='of the colours over the picture, 0 to 1 (default: %(default)s)'
    )
    predict.add_argument(
        '--save-logits',
        action='store_true',
        help='also write the scores of every class, float16 [classes, height, width], to DIR/logits/NAME.npy: 300 '
        'bytes a pixel for 150 classes',
    )
    predict.add_argument(
        '--frame-labels', action='store_true', help='also write a label map for every frame of a video'
    )
    predict.add_argument(
        '--skip-existing', action='store_true', help='leave out what has its results already, to go on after a break'
    )
    predict.set_defaults(run=_predict)


def _predict(options: argparse.Namespace, configs: Configs) -> int:
    configs.find(options.config)  # a name with a slip of the pen is told before anything else
    from ...inference.results import Wanted
    from ..predict import predict

    check_model_options(options)
    return predict(
        lambda: load_segmenter(options, configs, options.config, options.checkpoint),
        options.images,
        Wanted(options.out, options.opacity, options.save_logits, options.frame_labels),
        batch=options.batch,
        skip_existing=options.skip_existing,
    )
