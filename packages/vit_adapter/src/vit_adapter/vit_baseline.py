"""A plain ViT without adapter: four of its blocks' outputs, normalized and resized to a pyramid.

Originals: segmentation/mmseg_custom/models/backbones/vit_baseline.py and base/vit.py of ViT-Adapter.

Shape notation: N batch, C channels of a token, H and W the token grid (stride 16).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from shared_ops.errors import InputError
from shared_ops.openmmlab.pretrained import copy_pretrained, read_pretrained
from shared_ops.vit import (
    Block,
    LayerNorm,
    PatchEmbed,
    check_image,
    cut_pyramid,
    init_adapter_weights,
    plain_vit_layer_id,
    plain_vit_weights,
    resize_position_embedding,
    tokens_to_map,
    window_sizes,
)


@MODELS.register_module()
class ViTBaseline(nn.Module):
    """A plain ViT whose maps, one after each quarter of its blocks, are brought to strides 4, 8, 16 and 32.

    The argument names are the original's. As there, rows and columns of pixels that do not fill a patch are left out;
    images of less than 32 pixels are padded to that.

    Args:
        pretrain_size: side in pixels of the images that ``pos_embed`` was trained with.
        img_size: side in pixels that gives ``pos_embed`` its number of rows.
        patch_size: side of a patch in pixels; only 16 fits the pyramid.
        in_chans: channels of the image.
        embed_dim: channels of a token, a multiple of 32.
        depth: number of blocks, best a multiple of 4.
        num_heads: attention heads.
        mlp_ratio: hidden channels of the MLPs, as a multiple of ``embed_dim``.
        qkv_bias: give query, key and value projections a bias.
        drop_rate: dropout.
        attn_drop_rate: dropout of the attention weights.
        drop_path_rate: stochastic depth: grows to this rate over the blocks.
        layer_scale: learn a scale per channel of the blocks' branches.
        window_attn: attend in windows; one value for all blocks or one per block.
        window_size: side of the windows in tokens; one value for all blocks or one per block.
        pretrained: ImageNet weights of the trunk, loaded by :meth:`init_weights` and never while building: a file,
            an address or ``timm://NAME``.
        with_cp: recompute activations in the backward instead of keeping them.

    Raises:
        ValueError: arguments that do not fit each other.
    """

    def __init__(
        self,
        *,
        pretrain_size: int = 224,
        img_size: int = 224,
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        layer_scale: bool = True,
        window_attn: bool | Sequence[bool] = False,
        window_size: int | Sequence[int | None] | None = 14,
        pretrained: str | None = None,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        if patch_size != 16:
            raise InputError(f'patch_size={patch_size}: maps of strides 4 to 32 are made of patches of 16 pixels')
        if embed_dim % 32:
            raise InputError(f'embed_dim={embed_dim} must be a multiple of 32, the number of groups of the first map')
        out_indices = tuple(range(depth // 4 - 1, depth, depth // 4)) if depth >= 4 else ()
        if len(out_indices) != 4:
            raise InputError(f'depth={depth} has no four equal parts, one for each map; a multiple of 4 has')
        self.pretrained = pretrained
        self.in_chans = in_chans
        self.embed_dim = embed_dim
        self.pretrain_grid = (pretrain_size // patch_size, pretrain_size // patch_size)
        self.out_indices = out_indices

        self.patch_embed = PatchEmbed(img_size, patch_size, in_chans, embed_dim)
        # row 0 belongs to the pretrained model's class token and is never used
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.patch_embed.num_patches, embed_dim))
        self.pos_drop = nn.Dropout(drop_rate)
        self.blocks = nn.ModuleList(
            Block(
                embed_dim,
                num_heads,
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                drop=drop_rate,
                attn_drop=attn_drop_rate,
                drop_path=drop_path_rate * index / max(depth - 1, 1),
                window_size=side,
                layer_scale=layer_scale,
                with_cp=with_cp,
            )
            for index, side in enumerate(window_sizes(window_attn, window_size, depth))
        )
        self.norm1 = LayerNorm(embed_dim)
        self.norm2 = LayerNorm(embed_dim)
        self.norm3 = LayerNorm(embed_dim)
        self.norm4 = LayerNorm(embed_dim)
        self.up1 = nn.Sequential(
            nn.ConvTranspose2d(embed_dim, embed_dim, kernel_size=2, stride=2),
            nn.GroupNorm(32, embed_dim),
            nn.GELU(),
            nn.ConvTranspose2d(embed_dim, embed_dim, kernel_size=2, stride=2),
        )
        self.up2 = nn.ConvTranspose2d(embed_dim, embed_dim, kernel_size=2, stride=2)
        self.up3 = nn.Identity()
        self.up4 = nn.MaxPool2d(kernel_size=2, stride=2)

        for module in (self.up1, self.up2):
            module.apply(init_adapter_weights)

    def init_weights(self) -> None:
        """Load ``pretrained`` into the trunk, if it is set.

        Raises:
            FileNotFoundError: the file does not exist.
            RuntimeError: the file does not hold a ViT of this size.
        """
        if self.pretrained is None:
            return
        weights = plain_vit_weights(read_pretrained(self.pretrained), self.state_dict())
        copy_pretrained(self, weights, prefixes=('patch_embed.', 'pos_embed', 'blocks.'), source=self.pretrained)

    def get_layer_id(self, name: str) -> int:
        """Return the depth of a parameter, for layer-wise learning rates.

        Args:
            name: the parameter's name in this module.

        Returns:
            0 for the embeddings, i + 1 for block i, depth + 1 for the rest.
        """
        return plain_vit_layer_id(name, depth=len(self.blocks))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps of strides 4, 8, 16 and 32.

        Args:
            image: ``[N, in_chans, h, w]`` floating point, normalized.

        Returns:
            Four maps ``[N, C, 16*H/stride, 16*W/stride]``, sizes rounded down.

        Raises:
            ValueError: ``image`` has another number of dimensions or channels.
        """
        check_image(image, self.in_chans)
        image_height, image_width = image.shape[-2:]
        if min(image_height, image_width) < 32:  # too small for the last map
            image = F.pad(image, (0, max(0, 32 - image_width), 0, max(0, 32 - image_height)))

        x, height, width = self.patch_embed(image)  # [N, H*W, C]
        position = resize_position_embedding(self.pos_embed[:, 1:], self.pretrain_grid, (height, width))
        x = self.pos_drop(x + position)
        outputs = []
        for index, block in enumerate(self.blocks):
            x = block(x, height, width)
            if index in self.out_indices:
                outputs.append(x)

        norms = (self.norm1, self.norm2, self.norm3, self.norm4)
        resizers = (self.up1, self.up2, self.up3, self.up4)
        features = [
            resize(tokens_to_map(norm(x), height, width))
            for resize, norm, x in zip(resizers, norms, outputs, strict=True)
        ]
        return cut_pyramid(features, image_height, image_width)
