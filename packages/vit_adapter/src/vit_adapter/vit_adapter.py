"""ViT-Adapter over a plain ViT (https://arxiv.org/abs/2205.08534).

Originals: segmentation/mmseg_custom/models/backbones/vit_adapter.py and base/vit.py.

Shape notation: N batch, C channels of a token, H and W the token grid (stride 16).
"""

from collections.abc import Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from shared_ops.openmmlab.pretrained import copy_pretrained, read_pretrained
from shared_ops.vit import (
    Block,
    PatchEmbed,
    check_image,
    cut_pyramid,
    pad_to_multiple,
    plain_vit_layer_id,
    plain_vit_weights,
    resize_position_embedding,
    window_sizes,
)

from .adapter import Adapter


@MODELS.register_module()
class ViTAdapter(Adapter):
    """A plain ViT whose tokens exchange information with a convolutional pyramid.

    The argument names are the original's. Images may have any size: they are padded with zeros to multiples of 32
    inside, and the maps are cut to what covers the image.

    Args:
        interaction_indexes: first and last trunk block (both inclusive) of every interaction.
        pretrain_size: side in pixels of the images that ``pos_embed`` was trained with.
        num_heads: attention heads of the trunk.
        conv_inplane: channels of the spatial prior module's stem.
        n_points: sampling points of the deformable attentions, per head and level.
        deform_num_heads: heads of the deformable attentions.
        init_values: where the injectors' ``gamma`` starts.
        with_cffn: give the extractors a feed-forward network.
        cffn_ratio: its hidden channels, as a multiple of ``embed_dim``.
        deform_ratio: channels of the deformable attentions' values, as a multiple of ``embed_dim``.
        add_vit_feature: add the trunk's features after each interaction to the pyramid; needs four interactions.
        pretrained: ImageNet weights of the trunk, loaded by :meth:`init_weights` and never while building: a file,
            an address or ``timm://NAME``.
        use_extra_extractor: follow the last interaction with two more extractors.
        with_cp: recompute activations in the backward instead of keeping them.
        img_size: side in pixels that gives ``pos_embed`` its number of rows.
        patch_size: side of a patch in pixels; only 16 fits the pyramid.
        in_chans: channels of the image; the spatial prior module takes 3.
        embed_dim: channels of a token.
        depth: number of trunk blocks.
        mlp_ratio: hidden channels of the trunk's MLPs, as a multiple of ``embed_dim``.
        qkv_bias: give the trunk's query, key and value projections a bias.
        drop_rate: dropout in the trunk.
        attn_drop_rate: dropout of the trunk's attention weights.
        drop_path_rate: stochastic depth: grows to this rate over the trunk, and is this rate in every extractor.
        layer_scale: learn a scale per channel of the trunk's branches.
        window_attn: attend in windows; one value for all blocks or one per block.
        window_size: side of the windows in tokens; one value for all blocks or one per block.

    Raises:
        ValueError: arguments that do not fit each other.
    """

    def __init__(
        self,
        *,
        interaction_indexes: Sequence[Sequence[int]],
        pretrain_size: int = 224,
        num_heads: int = 12,
        conv_inplane: int = 64,
        n_points: int = 4,
        deform_num_heads: int = 6,
        init_values: float = 0.0,
        with_cffn: bool = True,
        cffn_ratio: float = 0.25,
        deform_ratio: float = 1.0,
        add_vit_feature: bool = True,
        pretrained: str | None = None,
        use_extra_extractor: bool = True,
        with_cp: bool = False,
        img_size: int = 224,
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 768,
        depth: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        layer_scale: bool = True,
        window_attn: bool | Sequence[bool] = False,
        window_size: int | Sequence[int | None] | None = 14,
    ) -> None:
        super().__init__(
            embed_dim=embed_dim,
            depth=depth,
            interaction_indexes=interaction_indexes,
            patch_size=patch_size,
            in_chans=in_chans,
            conv_inplane=conv_inplane,
            n_points=n_points,
            deform_num_heads=deform_num_heads,
            init_values=init_values,
            with_cffn=with_cffn,
            cffn_ratio=cffn_ratio,
            deform_ratio=deform_ratio,
            add_vit_feature=add_vit_feature,
            use_extra_extractor=use_extra_extractor,
            drop_path_rate=drop_path_rate,
            with_cp=with_cp,
        )
        self.pretrained = pretrained
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

    def init_weights(self) -> None:
        """Load ``pretrained`` into the trunk, if it is set; the adapter keeps its initial values.

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
            0 for the embeddings, i + 1 for block i, depth + 1 for the adapter.
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
        x = self.pos_drop(x + position)
        features = self.adapt(padded, x, height, width, self.blocks)
        return cut_pyramid(features, *image.shape[-2:])
