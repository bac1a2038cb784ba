"""Norms between maps that have their channels first, as convolutions do, and last, as everything else here.

Original: ``build_norm_layer`` of segmentation/mmseg_custom/models/backbones/intern_image.py.
"""

from torch import Tensor, nn

from shared_ops.dcnv3_module import ToChannelsLast
from shared_ops.errors import InputError


class ToChannelsFirst(nn.Module):
    """See ``[N, H, W, C]`` as ``[N, C, H, W]``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return a view of ``input``."""
        return input.permute(0, 3, 1, 2)


def norm(channels: int, kind: str = 'LN', *, first_before: bool = False, first_after: bool = False) -> nn.Sequential:
    """Return a norm over the channels of a map.

    In checkpoints it stands under its place in the sequence, which is 1 where its input has to be rearranged.

    Args:
        channels: C.
        kind: ``'LN'``, over the channels of a position, or ``'BN'``, over the positions of a channel.
        first_before: the input has its channels first.
        first_after: the result shall have its channels first.

    Raises:
        ValueError: ``kind`` is neither.
    """
    if kind not in ('LN', 'BN'):
        raise InputError(f'norm_layer must be LN or BN, not {kind!r}')
    wants_first = kind == 'BN'
    layers: list[nn.Module] = []
    if first_before != wants_first:
        layers.append(ToChannelsFirst() if wants_first else ToChannelsLast())
    layers.append(nn.BatchNorm2d(channels) if kind == 'BN' else nn.LayerNorm(channels, eps=1e-6))
    if first_after != wants_first:
        layers.append(ToChannelsFirst() if first_after else ToChannelsLast())
    return nn.Sequential(*layers)
