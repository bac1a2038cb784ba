"""Image to tokens (ViT, https://arxiv.org/abs/2010.11929, equation 1)."""

from torch import Tensor, nn

from .inputs import map_to_tokens


class PatchEmbed(nn.Module):
    """Project non-overlapping patches of an image to tokens.

    Unlike timm's, it takes images of any size that is a multiple of the patch and says the grid's size.

    Args:
        img_size: side in pixels of the pretraining images; gives ``num_patches``, limits no input.
        patch_size: side of a patch in pixels.
        in_chans: channels of the image.
        embed_dim: channels of a token.
    """

    def __init__(self, img_size: int = 224, patch_size: int = 16, in_chans: int = 3, embed_dim: int = 768) -> None:
        super().__init__()
        self.num_patches = (img_size // patch_size) ** 2
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, image: Tensor) -> tuple[Tensor, int, int]:
        """Return the tokens ``[N, H*W, embed_dim]`` of ``image`` ``[N, in_chans, h, w]`` and the grid's H and W."""
        feature = self.proj(image)  # [N, C, H, W]
        return map_to_tokens(feature), feature.shape[2], feature.shape[3]
