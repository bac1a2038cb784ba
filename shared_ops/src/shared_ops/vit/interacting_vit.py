"""A plain ViT beside a convolutional pyramid.

Originals: ``ViTAdapter`` and ``ViTCoMer`` in segmentation/mmseg_custom/models/backbones of their repositories.

Shape notation: N batch, C channels of a token, H and W the token grid (stride 16).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .block import Block
from .inputs import check_image, cut_pyramid, pad_to_multiple
from .patch_embed import PatchEmbed
from .position import resize_position_embedding
from .trunk import plain_vit_layer_id, window_sizes
from .two_branches import TwoBranches


class InteractingViT(TwoBranches):
    """Base of the backbones over a plain ViT. Images may have any size: what they lack to multiples of 32 is padded.

    Args:
        interactions: as in :class:`TwoBranches`; there is no class token.
        interaction_indexes: first and last trunk block (both inclusive) of every interaction.
        pretrain_size: side in pixels of the images that ``pos_embed`` was trained with.
        num_heads: attention heads of the trunk.
        conv_inplane: channels of the spatial prior module's stem.
        add_vit_feature: add the trunk's features after each interaction to the pyramid; needs four interactions.
        with_cp: recompute the trunk's activations in the backward instead of keeping them.
        img_size: side in pixels that gives ``pos_embed`` its number of rows.
        patch_size: side of a patch in pixels; only 16 fits the pyramid.
        in_chans: channels of the image; the spatial prior module takes 3.
        embed_dim: channels of a token.
        depth: number of trunk blocks.
        mlp_ratio: hidden channels of the trunk's MLPs, as a multiple of ``embed_dim``.
        qkv_bias: give the trunk's query, key and value projections a bias.
        drop_rate: dropout in the trunk.
        attn_drop_rate: dropout of the trunk's attention weights.
        drop_path_rate: stochastic depth of the last trunk block; it grows from 0 to there.
        layer_scale: learn a scale per channel of the trunk's branches.
        window_attn: attend in windows; one value for all blocks or one per block.
        window_size: side of the windows in tokens; one value for all blocks or one per block.

    Raises:
        ValueError: arguments that do not fit each other.
    """

    def __init__(
        self,
        interactions: Sequence[nn.Module],
        *,
        interaction_indexes: Sequence[Sequence[int]],
        pretrain_size: int,
        num_heads: int,
        conv_inplane: int,
        add_vit_feature: bool,
        with_cp: bool,
        img_size: int,
        patch_size: int,
        in_chans: int,
        embed_dim: int,
        depth: int,
        mlp_ratio: float,
        qkv_bias: bool,
        drop_rate: float,
        attn_drop_rate: float,
        drop_path_rate: float,
        layer_scale: bool,
        window_attn: bool | Sequence[bool],
        window_size: int | Sequence[int | None] | None,
    ) -> None:
        super().__init__(
            interactions,
            embed_dim=embed_dim,
            depth=depth,
            interaction_indexes=interaction_indexes,
            patch_size=patch_size,
            in_chans=in_chans,
            conv_inplane=conv_inplane,
            add_vit_feature=add_vit_feature,
        )
        self.pretrain_grid = (pretrain_size // patch_size, pretrain_size // patch_size)

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

    def get_layer_id(self, name: str) -> int:
        """Return the depth of a parameter, for layer-wise learning rates.

        Args:
            name: the parameter's name in this module.

        Returns:
            0 for the embeddings, i + 1 for block i, depth + 1 for all that is not the trunk's.
        """
        return plain_vit_layer_id(name, depth=len(self.blocks))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps of strides 4, 8, 16 and 32.

        Args:
            image: ``[N, 3, h, w]`` floating point, normalized.

        Returns:
            Four maps ``[N, C, ceil(h/s), ceil(w/s)]``.

        Raises:
            ValueError: ``image`` has another number of dimensions or channels.
        """
        check_image(image, self.in_chans)
        padded = pad_to_multiple(image, 32)
        x, height, width = self.patch_embed(padded)  # [N, H*W, C]
        position = resize_position_embedding(self.pos_embed[:, 1:], self.pretrain_grid, (height, width))
        features = self.run_branches(padded, self.pos_drop(x + position), height, width, self.blocks)
        return cut_pyramid(features, *image.shape[-2:])
