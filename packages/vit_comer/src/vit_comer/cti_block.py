"""One interaction of ViT-CoMer (https://arxiv.org/abs/2403.07392, section 3.1): into the trunk, and back out of it.

Original: ``CTIBlock`` in segmentation/mmseg_custom/models/backbones/comer_modules.py.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from shared_ops.errors import InputError
from shared_ops.vit import DeformInputs, TrunkBlock

from .cti import CTIToC, CTIToV, ExtraCTI, add_tokens
from .mrfp import MRFP

EXTRA_CTIS = 4


class CTIBlock(nn.Module):
    """Multi-receptive-field features into the trunk, a part of the trunk, and back into the features.

    Args:
        dim: channels of tokens and features.
        num_heads: heads of the deformable attentions.
        n_points: sampling points per head and level.
        deform_ratio: channels of the attentions' values, as a multiple of ``dim``.
        init_values: where the ``gamma`` of :class:`CTIToV` starts.
        with_cffn: follow the attentions towards the features with feed-forward networks.
        cffn_ratio: their hidden channels, as a multiple of ``dim``.
        drop_path: their rate of stochastic depth.
        extra_cti: end with four of :class:`ExtraCTI`.
        use_cti_to_v: whether features go to the trunk; without, :class:`MRFP` is there and has no effect.
        use_cti_to_c: whether tokens go to the features.
        cnn_feature_interaction: whether the features look at one another on the way back.
        dim_ratio: hidden channels of :class:`MRFP`, as a multiple of ``dim``.
        with_cp: recompute activations in the backward instead of keeping them.
    """

    def __init__(
        self,
        dim: int,
        *,
        num_heads: int = 6,
        n_points: int = 4,
        deform_ratio: float = 1.0,
        init_values: float = 0.0,
        with_cffn: bool = True,
        cffn_ratio: float = 0.25,
        drop_path: float = 0.0,
        extra_cti: bool = False,
        use_cti_to_v: bool = True,
        use_cti_to_c: bool = True,
        cnn_feature_interaction: bool = True,
        dim_ratio: float = 6.0,
        with_cp: bool = False,
    ) -> None:
        super().__init__()

        def to_features(kind: type[CTIToC]) -> CTIToC:
            return kind(
                dim,
                num_heads=num_heads,
                n_points=n_points,
                deform_ratio=deform_ratio,
                with_cffn=with_cffn,
                cffn_ratio=cffn_ratio,
                drop_path=drop_path,
                cnn_feature_interaction=cnn_feature_interaction,
                with_cp=with_cp,
            )

        self.mrfp = MRFP(dim, int(dim * dim_ratio), with_cp=with_cp)
        self.cti_tov = (
            CTIToV(
                dim,
                num_heads=num_heads,
                n_points=n_points,
                deform_ratio=deform_ratio,
                init_values=init_values,
                cffn_ratio=cffn_ratio,
                drop_path=drop_path,
                with_cp=with_cp,
            )
            if use_cti_to_v
            else None
        )
        self.cti_toc = to_features(CTIToC) if use_cti_to_c else None
        self.extra_CTIs = nn.ModuleList(to_features(ExtraCTI) for _ in range(EXTRA_CTIS if extra_cti else 0))

    def to_trunk(self, x: Tensor, c: Tensor, inputs: DeformInputs, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Return what enters the trunk's blocks, and the features that :class:`MRFP` made."""
        if self.cti_tov is None:
            return x, c
        c = add_tokens(self.mrfp(c, height, width), x, height, width)
        return self.cti_tov(x, c, inputs, height, width), c

    def to_features(self, x: Tensor, c: Tensor, inputs: DeformInputs, height: int, width: int) -> Tensor:
        """Return the features after the trunk's blocks, whose tokens are ``x``."""
        if self.cti_toc is not None:
            c = self.cti_toc(c, x, inputs, height, width)
        for extra in self.extra_CTIs:
            c = extra(c, x, inputs, height, width)
        return c

    def forward(
        self,
        x: Tensor,
        c: Tensor,
        class_token: Tensor | None,
        blocks: Iterable[TrunkBlock],
        token_inputs: DeformInputs,
        feature_inputs: DeformInputs,
        height: int,
        width: int,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the updated ``x``, ``c`` and ``class_token``.

        Args:
            x: the trunk's tokens, ``[N, height*width, C]``.
            c: the spatial features, ``[N, S, C]``.
            class_token: ``[N, 1, C]``, which goes through the blocks alone; ``None`` if the trunk has none.
            blocks: this part of the trunk.
            token_inputs: positions of the tokens on the spatial features.
            feature_inputs: positions of the spatial features on the tokens.
            height: rows of the grid of tokens.
            width: columns of the grid of tokens.
        """
        # features look at features: from where those of the one kind look, to what those of the other look at
        inputs = DeformInputs(
            feature_inputs.reference_points, token_inputs.spatial_shapes, token_inputs.level_start_index
        )
        x, c = self.to_trunk(x, c, inputs, height, width)
        if class_token is not None:
            x = torch.cat((class_token, x), dim=1)
        for block in blocks:
            x = block(x, height, width)
        if class_token is not None:
            class_token, x = x[:, :1], x[:, 1:]
        return x, self.to_features(x, c, inputs, height, width), class_token


def cti_blocks(
    number: int,
    *,
    embed_dim: int,
    deform_num_heads: int,
    n_points: int,
    deform_ratio: float,
    init_values: float,
    with_cffn: bool,
    cffn_ratio: float,
    drop_path_rate: float,
    use_extra_CTI: bool,
    use_CTI_toV: bool | Sequence[bool],
    use_CTI_toC: bool | Sequence[bool],
    cnn_feature_interaction: bool | Sequence[bool],
    dim_ratio: float,
    with_cp: bool,
) -> list[CTIBlock]:
    """Return the interactions of a backbone, under the names of its arguments.

    Args:
        number: how many.
        embed_dim: channels of a token.
        deform_num_heads: heads of the deformable attentions.
        n_points: sampling points of the deformable attentions, per head and level.
        deform_ratio: channels of the deformable attentions' values, as a multiple of ``embed_dim``.
        init_values: where the scale ``gamma`` of what enters the trunk starts.
        with_cffn: give the attentions towards the features feed-forward networks.
        cffn_ratio: hidden channels of the feed-forward networks, as a multiple of ``embed_dim``.
        drop_path_rate: stochastic depth of every interaction.
        use_extra_CTI: follow the last interaction with four more towards the features.
        use_CTI_toV: let features enter the trunk; one value for all interactions or one per interaction.
        use_CTI_toC: let the trunk's tokens enter the features; likewise.
        cnn_feature_interaction: let the features look at one another after that; likewise.
        dim_ratio: hidden channels of :class:`MRFP`, as a multiple of ``embed_dim``.
        with_cp: recompute activations in the backward instead of keeping them.

    Raises:
        ValueError: a list has not one value per interaction.
    """
    to_v = _per_interaction('use_CTI_toV', use_CTI_toV, number)
    to_c = _per_interaction('use_CTI_toC', use_CTI_toC, number)
    among_features = _per_interaction('cnn_feature_interaction', cnn_feature_interaction, number)
    return [
        CTIBlock(
            embed_dim,
            num_heads=deform_num_heads,
            n_points=n_points,
            deform_ratio=deform_ratio,
            init_values=init_values,
            with_cffn=with_cffn,
            cffn_ratio=cffn_ratio,
            drop_path=drop_path_rate,
            extra_cti=use_extra_CTI and index == number - 1,
            use_cti_to_v=to_v[index],
            use_cti_to_c=to_c[index],
            cnn_feature_interaction=among_features[index],
            dim_ratio=dim_ratio,
            with_cp=with_cp,
        )
        for index in range(number)
    ]


def _per_interaction(name: str, setting: bool | Sequence[bool], number: int) -> list[bool]:
    """Repeat a single ``setting`` for every interaction, or check that a list has one for each.

    Raises:
        ValueError: the list has another length.
    """
    if not isinstance(setting, list | tuple):
        return [bool(setting)] * number
    if len(setting) != number:
        raise InputError(f'{name} has {len(setting)} entries, but interaction_indexes has {number}')
    return list(setting)
