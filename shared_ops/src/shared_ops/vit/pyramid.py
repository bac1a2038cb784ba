"""The end of an adapter: four normalized maps from adapter and trunk features."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class FeaturePyramid(nn.Module):
    """Base of adapters' backbones: owns ``up`` and ``norm1`` to ``norm4``, under the originals' keys.

    Args:
        embed_dim: channels of all maps.
    """

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(embed_dim, embed_dim, kernel_size=2, stride=2)
        self.norm1 = nn.SyncBatchNorm(embed_dim)
        self.norm2 = nn.SyncBatchNorm(embed_dim)
        self.norm3 = nn.SyncBatchNorm(embed_dim)
        self.norm4 = nn.SyncBatchNorm(embed_dim)

    def finish_pyramid(
        self, c1: Tensor, c2: Tensor, c3: Tensor, c4: Tensor, trunk_features: Sequence[Tensor]
    ) -> list[Tensor]:
        """Join the maps of strides 4, 8, 16 and 32 with features of the trunk and normalize them.

        Args:
            c1: ``[N, C, 4*H, 4*W]``, which the interactions left out; ``c2`` is added to it, upsampled.
            c2: ``[N, C, 2*H, 2*W]``.
            c3: ``[N, C, H, W]``.
            c4: ``[N, C, H/2, W/2]``.
            trunk_features: four maps ``[N, C, H, W]`` from shallow to deep, resized and added; or none.
        """
        maps = [self.up(c2) + c1, c2, c3, c4]
        if trunk_features:
            x1, x2, x3, x4 = trunk_features
            x1 = F.interpolate(x1, scale_factor=4.0, mode='bilinear', align_corners=False)
            x2 = F.interpolate(x2, scale_factor=2.0, mode='bilinear', align_corners=False)
            x4 = F.interpolate(x4, scale_factor=0.5, mode='bilinear', align_corners=False)
            maps = [c + x for c, x in zip(maps, (x1, x2, x3, x4))]
        norms = (self.norm1, self.norm2, self.norm3, self.norm4)
        return [norm(feature) for norm, feature in zip(norms, maps)]
