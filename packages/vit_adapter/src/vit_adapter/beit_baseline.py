"""BEiT without adapter: four of its blocks' outputs, resized to a pyramid (https://arxiv.org/abs/2106.08254, 3.2).

Original: segmentation/mmseg_custom/models/backbones/beit_baseline.py of ViT-Adapter.

Shape notation: N batch, C channels of a token, H and W the token grid.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from shared_ops.errors import InputError
from shared_ops.openmmlab.beit_pretrained import load_beit
from shared_ops.vit import (
    BEiTBlock,
    PatchEmbed,
    RelativePositionBias,
    check_image,
    cut_pyramid,
    init_linear_weights,
    patch_grid,
    plain_vit_layer_id,
    resize_position_embedding,
    tokens_to_map,
)


@MODELS.register_module()
class BEiTBaseline(nn.Module):
    """A BEiT whose maps are brought to strides 4, 8, 16 and 32.

    The argument names are the original's. As there, rows and columns of pixels that do not fill a patch are left out,
    so that an image of 140 x 130 pixels has a grid of 8 x 8 patches; unlike there, images need not have the size
    ``img_size`` (:func:`shared_ops.vit.relative_position_bias`), and those of less than 32 pixels are padded to that.

    Args:
        img_size: side in pixels, or (height, width), of the images that the tables are for.
        patch_size: side of a patch in pixels, 16 or 8.
        in_chans: channels of the image.
        embed_dim: channels of a token.
        depth: number of blocks.
        num_heads: attention heads.
        mlp_ratio: hidden channels of the MLPs, as a multiple of ``embed_dim``.
        qkv_bias: give query and value projections a bias.
        qk_scale: factor of the attention's scores; ``None`` is one over the root of a head's channels.
        drop_rate: dropout.
        attn_drop_rate: dropout of the attention weights.
        drop_path_rate: stochastic depth: grows to this rate over the blocks.
        init_values: where the layer scales start; ``None`` for no layer scale.
        with_cp: recompute activations in the backward instead of keeping them.
        use_abs_pos_emb: learn an absolute position embedding; interpolated for images of another size.
        use_rel_pos_bias: learn a relative position bias in every block.
        use_shared_rel_pos_bias: learn a relative position bias that all blocks share.
        out_indices: the four blocks whose outputs become the maps, from shallow to deep.
        pretrained: weights of the trunk, loaded by :meth:`init_weights` and never while building: a file or an
            address.

    Raises:
        ValueError: arguments that do not fit each other.
    """

    def __init__(
        self,
        *,
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = False,
        qk_scale: float | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        init_values: float | None = None,
        with_cp: bool = False,
        use_abs_pos_emb: bool = True,
        use_rel_pos_bias: bool = False,
        use_shared_rel_pos_bias: bool = False,
        out_indices: Sequence[int] = (3, 5, 7, 11),
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        if patch_size not in (16, 8):
            raise InputError(f'patch_size={patch_size}: maps of strides 4 to 32 are made of patches of 16 or 8 pixels')
        if len(out_indices) != 4 or list(out_indices) != sorted({*out_indices} & {*range(depth)}):
            raise InputError(
                f'out_indices={out_indices} must be four block numbers from shallow to deep, below depth={depth}'
            )
        self.pretrained = pretrained
        self.in_chans = in_chans
        self.embed_dim = embed_dim
        self.out_indices = tuple(out_indices)
        self.window = patch_grid(img_size, patch_size)

        self.patch_embed = PatchEmbed(img_size, patch_size, in_chans, embed_dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.pos_embed = (
            nn.Parameter(torch.zeros(1, 1 + self.patch_embed.num_patches, embed_dim)) if use_abs_pos_emb else None
        )
        self.pos_drop = nn.Dropout(drop_rate)
        self.rel_pos_bias = RelativePositionBias(self.window, num_heads) if use_shared_rel_pos_bias else None
        self.blocks = nn.ModuleList(
            BEiTBlock(
                embed_dim,
                num_heads,
                window=self.window if use_rel_pos_bias else None,
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                qk_scale=qk_scale,
                drop=drop_rate,
                attn_drop=attn_drop_rate,
                drop_path=drop_path_rate * index / max(depth - 1, 1),
                init_values=init_values,
                with_cp=with_cp,
            )
            for index in range(depth)
        )
        self.fpn1, self.fpn2, self.fpn3, self.fpn4 = _resizers(embed_dim, patch_size)

        self.apply(init_linear_weights)
        nn.init.trunc_normal_(self.cls_token, std=0.02)
        if self.pos_embed is not None:
            nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def init_weights(self) -> None:
        """Load ``pretrained`` into the trunk, if it is set.

        Raises:
            FileNotFoundError: the file does not exist.
            RuntimeError: the file does not hold a BEiT of this size.
        """
        if self.pretrained is not None:
            load_beit(self, self.pretrained, self.window)

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
            Four maps of C channels; their sizes are those of the grid times 16, or 8, divided by the stride, rounded
            down.

        Raises:
            ValueError: ``image`` has another number of dimensions or channels.
        """
        check_image(image, self.in_chans)
        image_height, image_width = image.shape[-2:]
        if min(image_height, image_width) < 32:  # too small for the last map
            image = F.pad(image, (0, max(0, 32 - image_width), 0, max(0, 32 - image_height)))

        x, height, width = self.patch_embed(image)  # [N, H*W, C]
        class_token = self.cls_token.expand(x.shape[0], -1, -1)
        if self.pos_embed is not None:
            class_token = class_token + self.pos_embed[:, :1]
            x = x + resize_position_embedding(self.pos_embed[:, 1:], self.window, (height, width))
        x = self.pos_drop(torch.cat((class_token, x), dim=1))  # [N, 1 + H*W, C]

        shared_bias = None
        if self.rel_pos_bias is not None:
            shared_bias = self.rel_pos_bias.relative_position_bias((height, width), x.dtype)
        features = []
        for index, block in enumerate(self.blocks):
            x = block(x, height, width, shared_bias)
            if index in self.out_indices:
                features.append(tokens_to_map(x[:, 1:], height, width))

        resizers = (self.fpn1, self.fpn2, self.fpn3, self.fpn4)
        features = [resize(feature) for resize, feature in zip(resizers, features, strict=True)]
        return cut_pyramid(features, image_height, image_width)


def _resizers(dim: int, patch_size: int) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
    """Return what makes maps of strides 4, 8, 16 and 32 of maps of stride ``patch_size``."""
    twice = nn.ConvTranspose2d(dim, dim, kernel_size=2, stride=2)
    if patch_size == 8:
        return nn.Sequential(twice), nn.Identity(), nn.Sequential(nn.MaxPool2d(2)), nn.Sequential(nn.MaxPool2d(4))
    four_times = nn.Sequential(
        nn.ConvTranspose2d(dim, dim, kernel_size=2, stride=2),
        nn.SyncBatchNorm(dim),
        nn.GELU(),
        nn.ConvTranspose2d(dim, dim, kernel_size=2, stride=2),
    )
    return four_times, nn.Sequential(twice), nn.Identity(), nn.MaxPool2d(2)
