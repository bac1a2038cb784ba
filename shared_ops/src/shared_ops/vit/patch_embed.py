"""Image to tokens (ViT, https://arxiv.org/abs/2010.11929, equation 1)."""

from collections.abc import Sequence

from torch import Tensor, nn

from ..errors import InputError
from .inputs import map_to_tokens


def patch_grid(img_size: int | Sequence[int], patch_size: int) -> tuple[int, int]:
    """Return the (h, w) of the patches of an image of ``img_size`` pixels, a side or (height, width).

    Raises:
        ValueError: there is not one patch.
    """
    height, width = (img_size, img_size) if isinstance(img_size, int) else img_size
    if min(height, width) < patch_size:
        raise InputError(f'img_size={img_size} has no room for a patch of patch_size={patch_size} pixels')
    return height // patch_size, width // patch_size


class PatchEmbed(nn.Module):
    """Project non-overlapping patches of an image to tokens.

    Unlike timm's, it takes images of any size that is a multiple of the patch and says the grid's size.

    Args:
        img_size: side in pixels, or (height, width), of the pretraining images; gives ``num_patches``, limits no input.
        patch_size: side of a patch in pixels.
        in_chans: channels of the image.
        embed_dim: channels of a token.
    """

    def __init__(
        self, img_size: int | Sequence[int] = 224, patch_size: int = 16, in_chans: int = 3, embed_dim: int = 768
    ) -> None:
        super().__init__()
        rows, columns = patch_grid(img_size, patch_size)
        self.num_patches = rows * columns
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, image: Tensor) -> tuple[Tensor, int, int]:
        """Return the tokens ``[N, H*W, embed_dim]`` of ``image`` ``[N, in_chans, h, w]`` and the grid's H and W."""
        feature = self.proj(image)  # [N, C, H, W]
        return map_to_tokens(feature), feature.shape[2], feature.shape[3]
