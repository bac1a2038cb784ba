"""Images of any size: padded on the right and at the bottom before the network, cut after it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError

STRIDES = (4, 8, 16, 32)


def check_image(image: Tensor, in_chans: int) -> None:
    """Refuse what is not a batch of images.

    Args:
        image: ``[N, in_chans, H, W]``, floating point, H and W at least 1.
        in_chans: number of channels that the patch embedding has.

    Raises:
        ValueError: another number of dimensions or channels, no pixels, or integer pixels.
    """
    if image.dim() != 4:
        raise InputError(
            f'image must be [N, {in_chans}, H, W], but has shape {list(image.shape)}; '
            'add a batch dimension with image[None] where it is missing'
        )
    if image.shape[1] != in_chans:
        raise InputError(
            f'image has {image.shape[1]} channels, but the model was built with in_chans={in_chans}; '
            'images are channels first: [N, C, H, W]'
        )
    if not image.is_floating_point():
        raise InputError(f'image is {image.dtype}, but must be floating point: normalize it first')
    if image.shape[2] < 1 or image.shape[3] < 1:
        raise InputError(f'image has no pixels: its shape is {list(image.shape)}')


def pad_to_multiple(image: Tensor, divisor: int = 32) -> Tensor:
    """Pad ``image`` ``[N, C, H, W]`` with zeros on the right and at the bottom to multiples of ``divisor``.

    Zero is the mean colour of a normalized image. Sizes that are multiples already come back unchanged.

    Example:
        >>> import torch
        >>> pad_to_multiple(torch.rand(1, 3, 40, 64)).shape
        torch.Size([1, 3, 64, 64])
    """
    height, width = image.shape[-2:]
    # not -size % divisor: PyTorch's compiler stops at remainders of what is less than zero
    pad_height, pad_width = (divisor - 1 - (size - 1) % divisor for size in (height, width))
    if pad_height == 0 and pad_width == 0:
        return image
    return F.pad(image, (0, pad_width, 0, pad_height))


def pyramid_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return the (h, w) of the maps of strides 4, 8, 16 and 32 that cover an image of ``height`` x ``width``.

    Example:
        >>> pyramid_sizes(250, 330)
        [(63, 83), (32, 42), (16, 21), (8, 11)]
    """
    return [(-(-height // stride), -(-width // stride)) for stride in STRIDES]


def cut_pyramid(features: list[Tensor], height: int, width: int) -> list[Tensor]:
    """Cut the four maps of a padded image to those that cover the image itself."""
    sizes = pyramid_sizes(height, width)
    return [feature[..., :h, :w] for feature, (h, w) in zip(features, sizes, strict=True)]


def tokens_to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """Lay tokens ``[N, height*width, C]`` out as a contiguous map ``[N, C, height, width]``."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], tokens.shape[2], height, width).contiguous()


def map_to_tokens(feature: Tensor) -> Tensor:
    """Read a map ``[N, C, H, W]`` row by row as tokens ``[N, H*W, C]``."""
    return feature.flatten(2).transpose(1, 2)


def split_levels(tokens: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split ``[N, S, C]`` into the tokens of strides 8, 16 and 32 of a ``height`` x ``width`` token grid.

    ``height`` and ``width`` are those of stride 16 and even, so the parts are ``4*h*w``, ``h*w`` and ``h*w/4`` long.
    """
    size = height * width
    c2, c3, c4 = torch.split(tokens, [4 * size, size, size // 4], dim=1)
    return c2, c3, c4
