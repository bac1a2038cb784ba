"""A BEiT with class token (https://arxiv.org/abs/2106.08254) beside a convolutional pyramid.

Originals: beit_adapter.py and base/beit.py in segmentation/mmseg_custom/models/backbones of ViT-Adapter.

Shape notation: N batch, C channels of a token, H and W the token grid (stride 16).
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from .beit import BEiTBlock
from .inputs import check_image, cut_pyramid, pad_to_multiple
from .patch_embed import PatchEmbed, patch_grid
from .position import resize_position_embedding
from .relative_position import RelativePositionBias
from .trunk import plain_vit_layer_id
from .two_branches import TrunkBlock, TwoBranches
from .weight_init import init_adapter_weights


class InteractingBEiT(TwoBranches):
    """Base of the backbones over BEiT. Images may have any size: what they lack to multiples of 32 is padded.

    The relative position bias is the table's for images of ``img_size``; for others the table is cut or stretched
    (:func:`shared_ops.vit.relative_position_bias`).

    Args:
        interactions: as in :class:`TwoBranches`; they get a class token.
        interaction_indexes: first and last trunk block (both inclusive) of every interaction.
        conv_inplane: channels of the spatial prior module's stem.
        init_values: where the trunk's layer scales start.
        add_vit_feature: add the trunk's features after each interaction to the pyramid; needs four interactions.
        with_cp: recompute the trunk's activations in the backward instead of keeping them.
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
        drop_path_rate: stochastic depth of the last trunk block; it grows from 0 to there.
        use_abs_pos_emb: learn an absolute position embedding; interpolated for images of another size.
        use_rel_pos_bias: learn a relative position bias in every block.
        use_shared_rel_pos_bias: learn a relative position bias that all blocks share.

    Raises:
        ValueError: arguments that do not fit each other.
    """

    def __init__(
        self,
        interactions: Sequence[nn.Module],
        *,
        interaction_indexes: Sequence[Sequence[int]],
        conv_inplane: int,
        init_values: float,
        add_vit_feature: bool,
        with_cp: bool,
        img_size: int | tuple[int, int],
        patch_size: int,
        in_chans: int,
        embed_dim: int,
        depth: int,
        num_heads: int,
        mlp_ratio: float,
        qkv_bias: bool,
        qk_scale: float | None,
        drop_rate: float,
        attn_drop_rate: float,
        drop_path_rate: float,
        use_abs_pos_emb: bool,
        use_rel_pos_bias: bool,
        use_shared_rel_pos_bias: bool,
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
        class_token = self.cls_token.expand(x.shape[0], -1, -1)
        if self.pos_embed is not None:
            class_token = class_token + self.pos_embed[:, :1]
            x = x + resize_position_embedding(self.pos_embed[:, 1:], self.window, (height, width))
        x = self.pos_drop(x)

        blocks: list[TrunkBlock] = list(self.blocks)
        if self.rel_pos_bias is not None:
            shared_bias = self.rel_pos_bias.relative_position_bias((height, width), x.dtype)
            blocks = [partial(block, shared_bias=shared_bias) for block in self.blocks]
        features = self.run_branches(padded, x, height, width, blocks, class_token)
        return cut_pyramid(features, *image.shape[-2:])
