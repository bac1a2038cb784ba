"""ViT-Adapter over BEiT (https://arxiv.org/abs/2106.08254) and BEiTv2 (https://arxiv.org/abs/2208.06366).

Originals: segmentation/mmseg_custom/models/backbones/beit_adapter.py and base/beit.py.

Shape notation: N batch, C channels of a token, H and W the token grid (stride 16).
"""

from collections.abc import Sequence
from functools import partial

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from shared_ops.openmmlab.beit_pretrained import load_beit
from shared_ops.vit import (
    BEiTBlock,
    PatchEmbed,
    RelativePositionBias,
    TwoBranches,
    check_image,
    cut_pyramid,
    init_adapter_weights,
    pad_to_multiple,
    patch_grid,
    plain_vit_layer_id,
    resize_position_embedding,
)

from .adapter_modules import interaction_blocks


@MODELS.register_module()
class BEiTAdapter(TwoBranches):
    """A BEiT whose patches exchange information with a convolutional pyramid; the class token stays in the trunk.

    The argument names are the original's. Images may have any size: they are padded with zeros to multiples of 32
    inside, and the maps are cut to what covers the image. The original takes images of ``img_size`` alone; for those
    the relative position bias is the table's, for others the table is cut or stretched
    (:func:`shared_ops.vit.relative_position_bias`).

    Args:
        interaction_indexes: first and last trunk block (both inclusive) of every interaction.
        pretrain_size: taken as in the original, and without influence: the grid of ``pos_embed`` is that of
            ``img_size``.
        conv_inplane: channels of the spatial prior module's stem.
        n_points: sampling points of the deformable attentions, per head and level.
        deform_num_heads: heads of the deformable attentions.
        init_values: where the trunk's layer scales and the injectors' ``gamma`` start.
        cffn_ratio: hidden channels of the extractors' feed-forward networks, as a multiple of ``embed_dim``.
        deform_ratio: channels of the deformable attentions' values, as a multiple of ``embed_dim``.
        with_cffn: give the extractors a feed-forward network.
        add_vit_feature: add the trunk's features after each interaction to the pyramid; needs four interactions.
        with_cp: recompute activations in the backward instead of keeping them.
        img_size: side in pixels, or (height, width), of the images that the tables are for.
        patch_size: side of a patch in pixels; only 16 fits the pyramid.
        in_chans: channels of the image; the spatial prior module takes 3.
        embed_dim: channels of a token.
        depth: number of trunk blocks.
        num_heads: attention heads of the trunk.
        mlp_ratio: hidden channels of the trunk's MLPs, as a multiple of ``embed_dim``.
        qkv_bias: give the trunk's query and value projections a bias.
        qk_scale: factor of the attention's scores; ``None`` is one over the root of a head's channels.
        drop_rate: dropout in the trunk.
        attn_drop_rate: dropout of the trunk's attention weights.
        drop_path_rate: stochastic depth: grows to this rate over the trunk, and is this rate in every extractor.
        use_abs_pos_emb: learn an absolute position embedding; interpolated for images of another size.
        use_rel_pos_bias: learn a relative position bias in every block.
        use_shared_rel_pos_bias: learn a relative position bias that all blocks share.
        pretrained: weights of the trunk, loaded by :meth:`init_weights` and never while building: a file or an
            address.

    Raises:
        ValueError: arguments that do not fit each other.
    """

    def __init__(
        self,
        *,
        interaction_indexes: Sequence[Sequence[int]],
        pretrain_size: int = 224,
        conv_inplane: int = 64,
        n_points: int = 4,
        deform_num_heads: int = 6,
        init_values: float = 0.0,
        cffn_ratio: float = 0.25,
        deform_ratio: float = 1.0,
        with_cffn: bool = True,
        add_vit_feature: bool = True,
        with_cp: bool = False,
        img_size: int | tuple[int, int] = 512,
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
        use_abs_pos_emb: bool = False,
        use_rel_pos_bias: bool = True,
        use_shared_rel_pos_bias: bool = False,
        pretrained: str | None = None,
    ) -> None:
        interactions = interaction_blocks(
            len(interaction_indexes),
            embed_dim=embed_dim,
            n_points=n_points,
            deform_num_heads=deform_num_heads,
            init_values=init_values,
            with_cffn=with_cffn,
            cffn_ratio=cffn_ratio,
            deform_ratio=deform_ratio,
            drop_path_rate=drop_path_rate,
            with_cp=with_cp,
        )
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
        self.pretrained = pretrained
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

        for module in (self.patch_embed, self.blocks):
            module.apply(init_adapter_weights)
        nn.init.trunc_normal_(self.cls_token, std=0.02)

    def init_weights(self) -> None:
        """Load ``pretrained`` into the trunk, if it is set; the adapter keeps its initial values.

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
        class_token = self.cls_token.expand(x.shape[0], -1, -1)
        if self.pos_embed is not None:
            class_token = class_token + self.pos_embed[:, :1]
            x = x + resize_position_embedding(self.pos_embed[:, 1:], self.window, (height, width))
        x = self.pos_drop(x)

        blocks = list(self.blocks)
        if self.rel_pos_bias is not None:
            shared_bias = self.rel_pos_bias.relative_position_bias((height, width), x.dtype)
            blocks = [partial(block, shared_bias=shared_bias) for block in blocks]
        features = self.run_branches(padded, x, height, width, blocks, class_token)
        return cut_pyramid(features, *image.shape[-2:])
