"""ViT-Adapter over a plain ViT (https://arxiv.org/abs/2205.08534).

Originals: segmentation/mmseg_custom/models/backbones/vit_adapter.py and base/vit.py.
"""

from collections.abc import Sequence

from mmseg.registry import MODELS

from shared_ops.openmmlab.pretrained import copy_pretrained, read_pretrained
from shared_ops.vit import InteractingViT, plain_vit_weights

from .adapter_modules import interaction_blocks


@MODELS.register_module()
class ViTAdapter(InteractingViT):
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

    Example:
        >>> import torch
        >>> parts = [[0, 0], [1, 1], [2, 2], [3, 3]]
        >>> backbone = ViTAdapter(embed_dim=48, depth=4, num_heads=3, interaction_indexes=parts)
        >>> [tuple(feature.shape) for feature in backbone(torch.rand(1, 3, 50, 66))]
        [(1, 48, 13, 17), (1, 48, 7, 9), (1, 48, 4, 5), (1, 48, 2, 3)]
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
        interactions = interaction_blocks(
            len(interaction_indexes),
            embed_dim=embed_dim,
            n_points=n_points,
            deform_num_heads=deform_num_heads,
            init_values=init_values,
            with_cffn=with_cffn,
            cffn_ratio=cffn_ratio,
            deform_ratio=deform_ratio,
            use_extra_extractor=use_extra_extractor,
            drop_path_rate=drop_path_rate,
            with_cp=with_cp,
        )
        super().__init__(
            interactions,
            interaction_indexes=interaction_indexes,
            pretrain_size=pretrain_size,
            num_heads=num_heads,
            conv_inplane=conv_inplane,
            add_vit_feature=add_vit_feature,
            with_cp=with_cp,
            img_size=img_size,
            patch_size=patch_size,
            in_chans=in_chans,
            embed_dim=embed_dim,
            depth=depth,
            mlp_ratio=mlp_ratio,
            qkv_bias=qkv_bias,
            drop_rate=drop_rate,
            attn_drop_rate=attn_drop_rate,
            drop_path_rate=drop_path_rate,
            layer_scale=layer_scale,
            window_attn=window_attn,
            window_size=window_size,
        )
        self.pretrained = pretrained

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
