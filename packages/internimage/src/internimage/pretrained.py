"""The published InternImage classifiers as a start for training."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from shared_ops.openmmlab.checkpoint import load_from_file, load_from_web

PUBLISHED_IN = 'https://huggingface.co/OpenGVLab/InternImage/resolve/main/'
_OTHERWISE = 'or start from random weights: --cfg-options model.backbone.init_cfg=None'


def read_weights(source: str) -> Mapping[str, Tensor]:
    """Read the weights of a classifier, or those of a whole segmentation model's backbone.

    Args:
        source: a file of PyTorch, or the address (http, https) of one.

    Returns:
        Tensors under the backbone's names, beside those of the head.

    Raises:
        FileNotFoundError: there is no such file; the message says where it is published.
        ValueError: it cannot be read.
        RuntimeError: it could not be downloaded.
    """
    if source.startswith(('http://', 'https://')):
        try:
            checkpoint = load_from_web(source)
        except OSError as error:  # urllib's errors are
            raise RuntimeError(
                f'pretrained weights {source} could not be downloaded ({error}); download the file by other means and '
                f'name it with --cfg-options model.backbone.init_cfg.checkpoint=FILE, {_OTHERWISE}'
            ) from error
    else:
        if not Path(source).expanduser().is_file():
            raise FileNotFoundError(
                f'pretrained weights {source} do not exist; the published files are in {PUBLISHED_IN}, {_OTHERWISE}'
            )
        checkpoint = load_from_file(source)
    weights: Mapping[str, Tensor] = checkpoint['state_dict']
    return {name.removeprefix('backbone.'): value for name, value in weights.items()}
