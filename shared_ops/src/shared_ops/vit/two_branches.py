"""A trunk and a convolutional pyramid beside it that exchange information, whatever the trunk is and however they do.

Originals: the backbones of ViT-Adapter (https://arxiv.org/abs/2205.08534, figure 4) and ViT-CoMer
(https://arxiv.org/abs/2403.07392, figure 3).

Shape notation: N batch, C channels of a token, H and W the token grid (stride 16), S = 21/4 * H*W spatial features.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..errors import InputError
from .inputs import split_levels, tokens_to_map
from .pyramid import FeaturePyramid
from .reference_points import deform_inputs
from .spatial_prior import SpatialPriorModule
from .trunk import block_ranges
from .weight_init import init_adapter_weights

# One block of a trunk: tokens, height and width of their grid.
TrunkBlock = Callable[[Tensor, int, int], Tensor]


class TwoBranches(FeaturePyramid):
    """Base of the backbones: owns all that is not the trunk.

    Args:
        interactions: one module per entry of ``interaction_indexes``. It is called with the tokens ``x``
            ``[N, H*W, C]``, the spatial features ``c`` ``[N, S, C]``, the trunk's class token ``[N, 1, C]`` or
            ``None``, the blocks that it has to run, the inputs of deformable attentions from tokens to features and
            from features to tokens (:func:`deform_inputs`), H and W; and returns new ``x``, ``c`` and class token.
        embed_dim: channels of a token.
        depth: number of trunk blocks.
        interaction_indexes: first and last trunk block (both inclusive) of every interaction.
        patch_size: side of a patch in pixels; only 16 fits the pyramid.
        in_chans: channels of the image; the spatial prior module takes 3.
        conv_inplane: channels of the spatial prior module's stem.
        add_vit_feature: add the trunk's features after each interaction to the pyramid; needs four interactions.

    Raises:
        ValueError: arguments that do not fit each other.
    """

    def __init__(
        self,
        interactions: Sequence[nn.Module],
        *,
        embed_dim: int,
        depth: int,
        interaction_indexes: Sequence[Sequence[int]],
        patch_size: int,
        in_chans: int,
        conv_inplane: int,
        add_vit_feature: bool,
    ) -> None:
        super().__init__(embed_dim)
        if patch_size != 16 or in_chans != 3:
            raise InputError(
                f'patch_size={patch_size}, in_chans={in_chans}: the spatial prior module makes maps of strides 4 to 32 '
                'from 3 channels, which fit patch_size=16 and in_chans=3 only'
            )
        self.block_ranges = block_ranges(interaction_indexes, depth)
        if add_vit_feature and len(interaction_indexes) != 4:
            raise InputError(
                f'add_vit_feature=True needs 4 interactions, one per map, but interaction_indexes has '
                f'{len(interaction_indexes)}; set add_vit_feature=False'
            )
        self.add_vit_feature = add_vit_feature
        self.in_chans = in_chans
        self.embed_dim = embed_dim

        self.level_embed = nn.Parameter(torch.zeros(3, embed_dim))
        self.spm = SpatialPriorModule(conv_inplane, embed_dim)
        self.interactions = nn.ModuleList(interactions)

        for module in (self.up, self.spm, self.interactions):
            module.apply(init_adapter_weights)
        nn.init.normal_(self.level_embed)

    def run_branches(
        self,
        image: Tensor,
        x: Tensor,
        height: int,
        width: int,
        blocks: nn.ModuleList | Sequence[TrunkBlock],
        class_token: Tensor | None = None,
    ) -> list[Tensor]:
        """Run the trunk and the pyramid beside it.

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

        token_inputs, feature_inputs = deform_inputs(height, width, image.device)
        trunk_features = []
        for interaction, part in zip(self.interactions, self.block_ranges):
            x, c, class_token = interaction(
                x, c, class_token, blocks[part], token_inputs, feature_inputs, height, width
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
