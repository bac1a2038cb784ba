"""ViT-Adapter over BEiT (https://arxiv.org/abs/2106.08254) and BEiTv2 (https://arxiv.org/abs/2208.06366).

Original: segmentation/mmseg_custom/models/backbones/beit_adapter.py.
"""

from collections.abc import Sequence

from mmseg.registry import MODELS

from shared_ops.openmmlab.beit_pretrained import load_beit
from shared_ops.vit import InteractingBEiT

from .adapter_modules import interaction_blocks


@MODELS.register_module()
class BEiTAdapter(InteractingBEiT):
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

    Example:
        >>> import torch
        >>> parts = [[0, 0], [1, 1], [2, 2], [3, 3]]
        >>> backbone = BEiTAdapter(img_size=64, embed_dim=48, depth=4, num_heads=3, interaction_indexes=parts)
        >>> [tuple(feature.shape) for feature in backbone(torch.rand(1, 3, 50, 66))]
        [(1, 48, 13, 17), (1, 48, 7, 9), (1, 48, 4, 5), (1, 48, 2, 3)]
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
            interaction_indexes=interaction_indexes,
            conv_inplane=conv_inplane,
            init_values=init_values,
            add_vit_feature=add_vit_feature,
            with_cp=with_cp,
            img_size=img_size,
            patch_size=patch_size,
            in_chans=in_chans,
            embed_dim=embed_dim,
            depth=depth,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            qkv_bias=qkv_bias,
            qk_scale=qk_scale,
            drop_rate=drop_rate,
            attn_drop_rate=attn_drop_rate,
            drop_path_rate=drop_path_rate,
            use_abs_pos_emb=use_abs_pos_emb,
            use_rel_pos_bias=use_rel_pos_bias,
            use_shared_rel_pos_bias=use_shared_rel_pos_bias,
        )
        self.pretrained = pretrained

    def init_weights(self) -> None:
        """Load ``pretrained`` into the trunk, if it is set; the adapter keeps its initial values.

        Raises:
            FileNotFoundError: the file does not exist.
            RuntimeError: the file does not hold a BEiT of this size.
        """
        if self.pretrained is not None:
            load_beit(self, self.pretrained, self.window)
