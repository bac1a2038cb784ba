"""Stem, downsampling and MLP of InternImage (https://arxiv.org/abs/2211.05778, section 3.2).

Shape notation: N batch, C channels, H and W rows and columns.
"""

from torch import Tensor, nn

from shared_ops.dcnv3_module import ACTIVATIONS

from .norm import norm


class Stem(nn.Module):
    """Two convolutions that take an image to stride 4 (original: ``StemLayer``).

    Args:
        in_chans: channels of the image.
        channels: C, an even number.
        act_layer: ``'GELU'``, ``'ReLU'`` or ``'SiLU'``, between the two.
        norm_layer: ``'LN'`` or ``'BN'``, after each of the two.
    """

    def __init__(self, in_chans: int, channels: int, act_layer: str, norm_layer: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, channels // 2, kernel_size=3, stride=2, padding=1)
        self.norm1 = norm(channels // 2, norm_layer, first_before=True, first_after=True)
        self.act = ACTIVATIONS[act_layer]()
        self.conv2 = nn.Conv2d(channels // 2, channels, kernel_size=3, stride=2, padding=1)
        self.norm2 = norm(channels, norm_layer, first_before=True)

    def forward(self, image: Tensor) -> Tensor:
        """Return ``[N, ceil(h/4), ceil(w/4), C]`` for an image ``[N, in_chans, h, w]``."""
        half = self.act(self.norm1(self.conv1(image)))  # [N, C/2, ceil(h/2), ceil(w/2)]
        quarter: Tensor = self.norm2(self.conv2(half))
        return quarter


class Downsample(nn.Module):
    """A convolution that halves the size and doubles the channels (original: ``DownsampleLayer``).

    Args:
        channels: C of its input.
        norm_layer: ``'LN'`` or ``'BN'``, after the convolution, which therefore has no bias.
    """

    def __init__(self, channels: int, norm_layer: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 2 * channels, kernel_size=3, stride=2, padding=1, bias=False)
        self.norm = norm(2 * channels, norm_layer, first_before=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, ceil(H/2), ceil(W/2), 2C]`` for ``x`` ``[N, H, W, C]``."""
        halved: Tensor = self.norm(self.conv(x.permute(0, 3, 1, 2)))
        return halved


class MLP(nn.Module):
    """Two linear layers at every position (original: ``MLPLayer``).

    Args:
        channels: C.
        hidden: channels between the two.
        act_layer: ``'GELU'``, ``'ReLU'`` or ``'SiLU'``, between the two.
        drop: rate of dropout, after each of the two.
    """

    def __init__(self, channels: int, hidden: int, act_layer: str, drop: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.act = ACTIVATIONS[act_layer]()
        self.fc2 = nn.Linear(hidden, channels)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``[N, H, W, C]`` for ``x`` of that shape."""
        mixed: Tensor = self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))
        return mixed
