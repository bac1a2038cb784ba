"""What ViT-Adapter adds to a trunk, whatever the trunk is (https://arxiv.org/abs/2205.08534, figure 4).

Shape notation: N batch, C channels of a token, H and W the token grid (stride 16), S = 21/4 * H*W spatial features.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from shared_ops.vit import (
    FeaturePyramid,
    LayerNorm,
    SpatialPriorModule,
    block_ranges,
    deform_inputs,
    init_adapter_weights,
    split_levels,
    tokens_to_map,
)

from .adapter_modules import InteractionBlock, TrunkBlock


class Adapter(FeaturePyramid):
    """Base of the adapters' backbones: owns all that is not the trunk.

    Args:
        embed_dim: channels of a token.
        depth: number of trunk blocks.
        interaction_indexes: first and last trunk block (both inclusive) of every interaction.
        patch_size: side of a patch in pixels; only 16 fits the pyramid.
        in_chans: channels of the image; the spatial prior module takes 3.
        conv_inplane: channels of the spatial prior module's stem.
        n_points: sampling points of the deformable attentions, per head and level.
        deform_num_heads: heads of the deformable attentions.
        init_values: where the injectors' ``gamma`` starts.
        with_cffn: give the extractors a feed-forward network.
        cffn_ratio: its hidden channels, as a multiple of ``embed_dim``.
        deform_ratio: channels of the deformable attentions' values, as a multiple of ``embed_dim``.
        add_vit_feature: add the trunk's features after each interaction to the pyramid; needs four interactions.
        use_extra_extractor: follow the last interaction with two more extractors.
        drop_path_rate: stochastic depth of every extractor.
        norm_layer: makes a layer norm of so many channels.
        with_cp: recompute activations of the interactions in the backward instead of keeping them.

    Raises:
        ValueError: arguments that do not fit each other.
    """

    def __init__(
        self,
        *,
        embed_dim: int,
        depth: int,
        interaction_indexes: Sequence[Sequence[int]],
        patch_size: int,
        in_chans: int,
        conv_inplane: int,
        n_points: int,
        deform_num_heads: int,
        init_values: float,
        with_cffn: bool,
        cffn_ratio: float,
        deform_ratio: float,
        add_vit_feature: bool,
        use_extra_extractor: bool = True,
        drop_path_rate: float,
        norm_layer: Callable[[int], nn.Module] = LayerNorm,
        with_cp: bool,
    ) -> None:
        super().__init__(embed_dim)
        if patch_size != 16 or in_chans != 3:
            raise ValueError(
                f'patch_size={patch_size}, in_chans={in_chans}: the spatial prior module makes maps of strides 4 to 32 '
                'from 3 channels, which fit patch_size=16 and in_chans=3 only'
            )
        self.block_ranges = block_ranges(interaction_indexes, depth)
        if add_vit_feature and len(interaction_indexes) != 4:
            raise ValueError(
                f'add_vit_feature=True needs 4 interactions, one per map, but interaction_indexes has '
                f'{len(interaction_indexes)}; set add_vit_feature=False'
            )
        self.add_vit_feature = add_vit_feature
        self.in_chans = in_chans
        self.embed_dim = embed_dim

        self.level_embed = nn.Parameter(torch.zeros(3, embed_dim))
        self.spm = SpatialPriorModule(conv_inplane, embed_dim)
        last = len(interaction_indexes) - 1
        self.interactions = nn.ModuleList(
            InteractionBlock(
                embed_dim,
                num_heads=deform_num_heads,
                n_points=n_points,
                deform_ratio=deform_ratio,
                init_values=init_values,
                with_cffn=with_cffn,
                cffn_ratio=cffn_ratio,
                drop_path=drop_path_rate,
                norm_layer=norm_layer,
                extra_extractor=use_extra_extractor and index == last,
                with_cp=with_cp,
            )
            for index in range(len(interaction_indexes))
        )

        for module in (self.up, self.spm, self.interactions):
            module.apply(init_adapter_weights)
        nn.init.normal_(self.level_embed)

    def adapt(
        self,
        image: Tensor,
        x: Tensor,
        height: int,
        width: int,
        blocks: Sequence[TrunkBlock],
        class_token: Tensor | None = None,
    ) -> list[Tensor]:
        """Run the trunk and the adapter beside it.

        Args:
            image: ``[N, 3, 16*H, 16*W]``.
            x: its embedded patches, ``[N, H*W, C]``.
            height: H, even.
            width: W, even.
            blocks: the trunk.
            class_token: the trunk's class token, ``[N, 1, C]``, if it has one.

        Returns:
            The maps of strides 4, 8, 16 and 32: ``[N, C, 16*H/stride, 16*W/stride]``.
        """
        c1, c2, c3, c4 = self.spm(image)
        c2, c3, c4 = c2 + self.level_embed[0], c3 + self.level_embed[1], c4 + self.level_embed[2]
        c = torch.cat((c2, c3, c4), dim=1)  # [N, S, C]

        injector_inputs, extractor_inputs = deform_inputs(height, width, image.device)
        trunk_features = []
        for interaction, part in zip(self.interactions, self.block_ranges):
            x, c, class_token = interaction(
                x, c, class_token, blocks[part], injector_inputs, extractor_inputs, height, width
            )
            if self.add_vit_feature:
                trunk_features.append(tokens_to_map(x, height, width))

        c2, c3, c4 = split_levels(c, height, width)
        return self.finish_pyramid(
            c1,
            tokens_to_map(c2, height * 2, width * 2),
            tokens_to_map(c3, height, width),
            tokens_to_map(c4, height // 2, width // 2),
            trunk_features,
        )
