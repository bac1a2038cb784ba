"""ViT-Adapter over Uni-Perceiver (https://arxiv.org/abs/2112.01522).

Original: segmentation/mmseg_custom/models/backbones/uniperceiver_adapter.py.

Shape notation: N batch, C channels of a token, H and W the token grid (stride 16).
"""

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor, nn

from shared_ops.openmmlab.pretrained import copy_pretrained, read_pretrained
from shared_ops.vit import TwoBranches, check_image, cut_pyramid, pad_to_multiple, plain_vit_layer_id, window_sizes

from .adapter_modules import interaction_blocks
from .uniperceiver import Layer, VisualEmbed
from .uniperceiver_pretrained import uniperceiver_weights


@MODELS.register_module()
class UniPerceiverAdapter(TwoBranches):
    """A Uni-Perceiver whose tokens exchange information with a convolutional pyramid.

    The argument names are the original's. Images may have any size: they are padded with zeros to multiples of 32
    inside, and the maps are cut to what covers the image.

    Args:
        interaction_indexes: first and last trunk layer (both inclusive) of every interaction.
        pretrain_size: taken as in the original, and without influence: the grid of ``spatial_pos_embed`` is that of
            ``img_size``.
        num_heads: attention heads of the trunk.
        conv_inplane: channels of the spatial prior module's stem.
        n_points: sampling points of the deformable attentions, per head and level.
        deform_num_heads: heads of the deformable attentions.
        init_values: where the injectors' ``gamma`` starts.
        with_cffn: give the extractors a feed-forward network.
        cffn_ratio: its hidden channels, as a multiple of ``embed_dim``.
        deform_ratio: channels of the deformable attentions' values, as a multiple of ``embed_dim``.
        add_vit_feature: add the trunk's features after each interaction to the pyramid; needs four interactions.
        img_size: side in pixels of the pretraining images, which gives ``spatial_pos_embed`` its number of rows.
        patch_size: side of a patch in pixels; only 16 fits the pyramid.
        in_chans: channels of the image; the spatial prior module takes 3.
        embed_dim: channels of a token.
        depth: number of trunk layers.
        mlp_ratio: hidden channels of the trunk's MLPs, as a multiple of ``embed_dim``.
        drop_path_rate: stochastic depth: grows to this rate over the trunk, and is this rate in every extractor.
        window_attn: attend in windows; one value for all layers or one per layer.
        window_size: side of the windows in tokens; one value for all layers or one per layer.
        with_cp: recompute activations of the trunk in the backward instead of keeping them.
        pretrained: weights of the trunk, loaded by :meth:`init_weights` and never while building: a file or an
            address, as Uni-Perceiver's authors published it or as ViT-Adapter's converter left it.

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
        img_size: int = 224,
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 768,
        depth: int = 12,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.0,
        window_attn: bool | Sequence[bool] = False,
        window_size: int | Sequence[int | None] | None = 14,
        with_cp: bool = False,
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
            norm_layer=nn.LayerNorm,  # its epsilon is 1e-5, that of ViT and BEiT 1e-6
            with_cp=False,  # the original recomputes the trunk alone
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
        self.visual_embed = VisualEmbed(img_size, patch_size, in_chans, embed_dim)
        self.layers = nn.ModuleList(
            Layer(
                embed_dim,
                num_heads,
                mlp_ratio=mlp_ratio,
                drop_path=drop_path_rate * index / max(depth - 1, 1),
                window_size=side,
                with_cp=with_cp,
            )
            for index, side in enumerate(window_sizes(window_attn, window_size, depth))
        )

    def init_weights(self) -> None:
        """Load ``pretrained`` into the trunk, if it is set; the adapter keeps its initial values.

        Raises:
            FileNotFoundError: the file does not exist.
            RuntimeError: the file does not hold a Uni-Perceiver of this size.
        """
        if self.pretrained is None:
            return
        copy_pretrained(
            self,
            uniperceiver_weights(read_pretrained(self.pretrained)),
            prefixes=('visual_embed.', 'layers.'),
            source=self.pretrained,
            advice='depth, embed_dim, patch_size and img_size must be those of the weights',
        )

    def get_layer_id(self, name: str) -> int:
        """Return the depth of a parameter, for layer-wise learning rates.

        Args:
            name: the parameter's name in this module.

        Returns:
            0 for the embeddings, i + 1 for layer i, depth + 1 for the adapter.
        """
        return plain_vit_layer_id(name, depth=len(self.layers))

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
        x, height, width = self.visual_embed(padded)  # [N, H*W, C]
        features = self.run_branches(padded, x, height, width, self.layers)
        return cut_pyramid(features, *image.shape[-2:])
