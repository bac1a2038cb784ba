"""The published InternImage classifiers as a start for training."""

from collections.abc import Mapping

from torch import Tensor

from shared_ops.openmmlab.pretrained import read_pretrained

_OTHERWISE = (
    'name another file: --cfg-options model.backbone.init_cfg.checkpoint=FILE, or model.backbone.init_cfg=None for '
    'random weights'
)


def read_weights(source: str) -> Mapping[str, Tensor]:
    """Read the weights of a classifier, or those of a whole segmentation model's backbone.

    Args:
        source: as for :func:`~shared_ops.openmmlab.pretrained.read_pretrained`.

    Returns:
        Tensors under the backbone's names, beside those of the head.
    """
    return {name.removeprefix('backbone.'): value for name, value in read_pretrained(source, _OTHERWISE).items()}
