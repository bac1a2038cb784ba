"""Multi-receptive-field feature pyramid (ViT-CoMer, https://arxiv.org/abs/2403.07392, section 3.2).

Original: ``MRFP`` and ``MultiDWConv`` in segmentation/mmseg_custom/models/backbones/comer_modules.py.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from shared_ops.errors import InputError
from shared_ops.vit import map_to_tokens, recompute, split_levels


def depthwise(channels: int, kernel_size: int) -> nn.Conv2d:
    """Return a convolution within each channel that keeps the size of the map."""
    return nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels)


class MultiDWConv(nn.Module):
    """Parameters of the two depthwise convolutions and the batch norm that each of the three levels has.

    Args:
        dim: channels; even. The first half sees 3x3, the second 5x5 pixels.

    Raises:
        ValueError: ``dim`` is odd.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        if dim < 2 or dim % 2:
            raise InputError(
                f'the two convolutions of MRFP share its hidden channels by halves, but there are {dim}; choose a '
                'dim_ratio that makes int(embed_dim * dim_ratio) even'
            )
        half = dim // 2
        self.dwconv1, self.dwconv2 = depthwise(half, 3), depthwise(half, 5)
        self.dwconv3, self.dwconv4 = depthwise(half, 3), depthwise(half, 5)
        self.dwconv5, self.dwconv6 = depthwise(half, 3), depthwise(half, 5)
        # BatchNorm2d, not SyncBatchNorm: every process normalizes by its own images, as in the original
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(dim), nn.BatchNorm2d(dim), nn.BatchNorm2d(dim)

    def levels(self) -> Iterator[tuple[nn.Conv2d, nn.Conv2d, nn.BatchNorm2d]]:
        """Yield narrow convolution, wide convolution and norm of strides 8, 16 and 32."""
        yield self.dwconv1, self.dwconv2, self.bn1
        yield self.dwconv3, self.dwconv4, self.bn2
        yield self.dwconv5, self.dwconv6, self.bn3


class MRFP(nn.Module):
    """Linear, convolutions of two sizes, batch norm, GELU twice, linear: for each level by itself.

    Args:
        dim: channels of the features.
        hidden_features: channels between the linear layers; even.
        with_cp: recompute activations in the backward instead of keeping them.
    """

    def __init__(self, dim: int, hidden_features: int, *, with_cp: bool = False) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.fc1 = nn.Linear(dim, hidden_features)
        self.dwconv = MultiDWConv(hidden_features)
        self.fc2 = nn.Linear(hidden_features, dim)

    def _convolve(self, tokens: Tensor, narrow: nn.Conv2d, wide: nn.Conv2d, height: int, width: int) -> Tensor:
        # a view, with the channels last in memory: to copy as many channels takes as long as the rest
        hidden = self.fc1(tokens).unflatten(1, (height, width)).permute(0, 3, 1, 2)  # [N, hidden, height, width]
        first, second = hidden.chunk(2, dim=1)
        return torch.cat((narrow(first), wide(second)), dim=1)

    def _project(self, hidden: Tensor) -> Tensor:
        # one GELU belongs to the level, the other to the whole; the original has both
        activated = F.gelu(F.gelu(hidden))
        return self.fc2(map_to_tokens(activated))  # [N, height*width, C]

    def forward(self, features: Tensor, height: int, width: int) -> Tensor:
        """Replace the features ``[N, S, C]``; ``height`` and ``width`` are those of stride 16."""
        sizes = ((height * 2, width * 2), (height, width), (height // 2, width // 2))
        replaced = []
        for level, size, (narrow, wide, norm) in zip(
            split_levels(features, height, width), sizes, self.dwconv.levels(), strict=True
        ):
            hidden = recompute(self._convolve, level, narrow, wide, *size, with_cp=self.with_cp)
            # not recomputed: its running statistics would count the batch twice
            hidden = norm(hidden)
            replaced.append(recompute(self._project, hidden, with_cp=self.with_cp))
        return torch.cat(replaced, dim=1)
