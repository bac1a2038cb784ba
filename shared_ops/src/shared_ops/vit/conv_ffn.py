"""Feed-forward network of the extractors, with a convolution over each level (ViT-Adapter, section 3.4)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .inputs import map_to_tokens, split_levels, tokens_to_map


class DWConv(nn.Module):
    """One depthwise 3x3 convolution, shared by the maps of strides 8, 16 and 32."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, kernel_size=3, padding=1, groups=dim)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Convolve ``tokens`` ``[N, S, C]``; ``height`` and ``width`` are those of stride 16."""
        c2, c3, c4 = split_levels(tokens, height, width)
        sizes = ((height * 2, width * 2), (height, width), (height // 2, width // 2))
        levels = [self.dwconv(tokens_to_map(c, *size)) for c, size in zip((c2, c3, c4), sizes)]
        return torch.cat([map_to_tokens(level) for level in levels], dim=1)


class ConvFFN(nn.Module):
    """Linear, depthwise convolution, GELU, linear.

    Args:
        in_features: channels of the tokens.
        hidden_features: channels between the linear layers.
    """

    def __init__(self, in_features: int, hidden_features: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_features, hidden_features)
        self.dwconv = DWConv(hidden_features)
        self.fc2 = nn.Linear(hidden_features, in_features)

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """Transform ``tokens`` ``[N, S, C]``; ``height`` and ``width`` are those of stride 16."""
        hidden = F.gelu(self.dwconv(self.fc1(tokens), height, width))
        transformed: Tensor = self.fc2(hidden)
        return transformed
