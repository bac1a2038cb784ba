"""The convolutional stem beside the trunk (ViT-Adapter, section 3.2)."""

from torch import Tensor, nn

from .inputs import map_to_tokens


def conv_norm_relu(in_channels: int, out_channels: int, stride: int) -> list[nn.Module]:
    """Return a 3x3 convolution without bias, its normalization and activation."""
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False),
        nn.SyncBatchNorm(out_channels),
        nn.ReLU(inplace=True),
    ]


class SpatialPriorModule(nn.Module):
    """Maps of strides 4, 8, 16 and 32 from the image, each projected to the trunk's channels.

    Args:
        inplanes: channels of the stem; the stages have 1, 2, 4 and 4 times as many.
        embed_dim: channels of the trunk's tokens.
    """

    def __init__(self, inplanes: int = 64, embed_dim: int = 384) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *conv_norm_relu(3, inplanes, stride=2),
            *conv_norm_relu(inplanes, inplanes, stride=1),
            *conv_norm_relu(inplanes, inplanes, stride=1),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        self.conv2 = nn.Sequential(*conv_norm_relu(inplanes, 2 * inplanes, stride=2))
        self.conv3 = nn.Sequential(*conv_norm_relu(2 * inplanes, 4 * inplanes, stride=2))
        self.conv4 = nn.Sequential(*conv_norm_relu(4 * inplanes, 4 * inplanes, stride=2))
        self.fc1 = nn.Conv2d(inplanes, embed_dim, kernel_size=1)
        self.fc2 = nn.Conv2d(2 * inplanes, embed_dim, kernel_size=1)
        self.fc3 = nn.Conv2d(4 * inplanes, embed_dim, kernel_size=1)
        self.fc4 = nn.Conv2d(4 * inplanes, embed_dim, kernel_size=1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the map of stride 4 ``[N, C, h/4, w/4]`` and the tokens of strides 8, 16 and 32.

        Args:
            image: ``[N, 3, h, w]``, h and w multiples of 32.
        """
        c1 = self.stem(image)
        c2 = self.conv2(c1)
        c3 = self.conv3(c2)
        c4 = self.conv4(c3)
        return (
            self.fc1(c1),
            map_to_tokens(self.fc2(c2)),
            map_to_tokens(self.fc3(c3)),
            map_to_tokens(self.fc4(c4)),
        )
