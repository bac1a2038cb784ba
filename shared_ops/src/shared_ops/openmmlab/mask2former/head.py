"""Mask2Former's head (https://arxiv.org/abs/2112.01527) as the originals ran it.

Shape notation: N batch, Q queries, K classes, C channels, (h, w) size of the first feature map.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.models.decode_heads import Mask2FormerHead
from mmseg.registry import MODELS
from torch import Tensor

from ...errors import InputError
from .attention import MaskedAttention, RecomputedLayers
from .criterion import MaskCriterion
from .old_names import accept_old_names
from .pixel_decoder import PixelDecoder, sine_positions
from .targets import mask_targets

# Parts whose learning rate the originals' layer decay scales like that of the patch embedding.
_FIRST_LAYER = ('mask_embed', 'cls_embed', 'level_embed', 'query_embed', 'query_feat')


@MODELS.register_module()
class SemanticMask2FormerHead(Mask2FormerHead):  # type: ignore[misc]
    """MMSegmentation's ``Mask2FormerHead`` with the originals' inference, targets and precision.

    Scores of the classes are combined at the masks' resolution, a quarter of the image's, and then resized, where
    MMSegmentation resizes the masks first. A class is one mask, ignored pixels belong to none. The attention runs on
    the kernels of shared_ops and on ``scaled_dot_product_attention``. ``state_dict()`` has MMDetection 3's keys;
    loading takes the originals' too. Original: ``Mask2FormerHead`` (decode_heads/mask2former_head.py).

    Args:
        in_channels: of the backbone's four feature maps.
        feat_channels: C, of both transformers.
        out_channels: of the features of which masks are made.
        num_classes: K.
        num_queries: Q.
        pixel_decoder: config of an ``mmdet.MSDeformAttnPixelDecoder``.
        transformer_decoder: config of MMDetection's ``Mask2FormerTransformerDecoder``. In it and in the encoder of
            ``pixel_decoder``, ``layer_cfg.ffn_cfg`` takes ``with_cp`` too: true to compute the activations of the
            feed-forward layers again in the backward.
        positional_encoding: config of MMDetection's ``SinePositionalEncoding``.
        loss_cls: config of the loss of the classes; its ``class_weight`` has an entry for every class and one for
            "no object".
        loss_mask: config of the loss of the masks' points.
        loss_dice: config of the loss of whole masks.
        num_transformer_feat_level: number of maps that queries attend to.
        enforce_decoder_input_project: project these maps although they have C channels already.
        align_corners: whether resizing the scores keeps the corners where they are.
        ignore_index: label of pixels that belong to no class.
        train_cfg: entries that replace those of the segmentor's ``train_cfg``, see :meth:`loss`.
        init_cfg: as for every module of MMEngine.

    Raises:
        ValueError: ``pixel_decoder`` is of another type, or ``class_weight`` of another length.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        feat_channels: int,
        out_channels: int,
        num_classes: int,
        num_queries: int,
        pixel_decoder: dict[str, Any],
        transformer_decoder: dict[str, Any],
        positional_encoding: dict[str, Any],
        loss_cls: dict[str, Any],
        loss_mask: dict[str, Any],
        loss_dice: dict[str, Any],
        num_transformer_feat_level: int = 3,
        enforce_decoder_input_project: bool = False,
        align_corners: bool = False,
        ignore_index: int = 255,
        train_cfg: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        # copies: the configs are written to, and a model has to build from them again
        pixel_decoder_cfg, transformer_decoder_cfg, loss_cls_cfg = (
            ConfigDict(copy.deepcopy(config)) for config in (pixel_decoder, transformer_decoder, loss_cls)
        )
        if pixel_decoder_cfg.get('type') not in ('mmdet.MSDeformAttnPixelDecoder', 'MSDeformAttnPixelDecoder'):
            raise InputError(
                f'pixel_decoder has the type {pixel_decoder_cfg.get("type")!r}, but must have '
                f"'mmdet.MSDeformAttnPixelDecoder'"
            )
        class_weight = loss_cls_cfg.get('class_weight') or ()
        if len(class_weight) != num_classes + 1:
            raise InputError(
                f'loss_cls.class_weight has {len(class_weight)} entries, but must have one for '
                f'each of the num_classes={num_classes} classes and one for "no object", such as '
                f'[1.0] * {num_classes} + [0.1]'
            )
        pixel_decoder_cfg.type = PixelDecoder
        recompute_encoder = pixel_decoder_cfg.encoder.layer_cfg.ffn_cfg.pop('with_cp', False)
        recompute_decoder = transformer_decoder_cfg.layer_cfg.ffn_cfg.pop('with_cp', False)
        super().__init__(
            num_classes=num_classes,
            align_corners=align_corners,
            ignore_index=ignore_index,
            in_channels=list(in_channels),
            feat_channels=feat_channels,
            out_channels=out_channels,
            num_queries=num_queries,
            num_transformer_feat_level=num_transformer_feat_level,
            pixel_decoder=pixel_decoder_cfg,
            enforce_decoder_input_project=enforce_decoder_input_project,
            transformer_decoder=transformer_decoder_cfg,
            positional_encoding=positional_encoding,
            loss_cls=loss_cls_cfg,
            loss_mask=loss_mask,
            loss_dice=loss_dice,
            init_cfg=init_cfg,
        )
        self.train_cfg = dict(train_cfg or {})
        self._criterion: tuple[dict[str, Any], MaskCriterion] | None = None
        for layer in self.transformer_decoder.layers:
            layer.cross_attn = MaskedAttention(layer.cross_attn)
            layer.self_attn = MaskedAttention(layer.self_attn)
        if recompute_encoder:
            _recompute_feed_forward(self.pixel_decoder.encoder)
        if recompute_decoder:
            _recompute_feed_forward(self.transformer_decoder)
        self.register_load_state_dict_pre_hook(accept_old_names)

    def get_layer_id(self, name: str) -> int | None:
        """Return the layer whose learning rate a parameter has.

        As in the originals, it is 0 for embeddings of queries and levels and for what turns queries into classes and
        masks, and None, which stands for the last one, for the rest.

        Args:
            name: relative to the head.
        """
        return 0 if name.startswith(_FIRST_LAYER) else None

    def forward(self, x: Sequence[Tensor], batch_data_samples: Any = None) -> tuple[list[Tensor], list[Tensor]]:
        """Predict classes and masks, from the queries themselves and after every layer of the transformer decoder.

        Args:
            x: the backbone's maps ``[N, C_i, h_i, w_i]``, from high to low resolution.
            batch_data_samples: not needed; MMSegmentation passes it.

        Returns:
            Logits of the classes and of "no object" ``[N, Q, K + 1]``, and of the masks ``[N, Q, h, w]``: two lists,
            the last entries of which are the result.
        """
        mask_features, maps = self.pixel_decoder(list(x))
        maps = maps[: self.num_transformer_feat_level]
        sizes = [tuple(level.shape[-2:]) for level in maps]
        memories = [
            projection(level).flatten(2).transpose(1, 2) + embedding
            for projection, level, embedding in zip(
                self.decoder_input_projs, maps, self.level_embed.weight, strict=True
            )
        ]  # [N, h_i*w_i, C]
        positions = [
            sine_positions(self.decoder_positional_encoding, size, memory)
            for size, memory in zip(sizes, memories, strict=True)
        ]  # [1, h_i*w_i, C]
        queries = self.query_feat.weight.expand(mask_features.shape[0], -1, -1)  # [N, Q, C]
        query_positions = self.query_embed.weight[None]  # [1, Q, C]
        cls_pred, mask_pred = self._predict(queries, mask_features)
        all_cls_pred, all_mask_pred = [cls_pred], [mask_pred]
        for index, layer in enumerate(self.transformer_decoder.layers):
            level = index % self.num_transformer_feat_level
            queries = layer(
                query=queries,
                key=memories[level],
                value=memories[level],
                query_pos=query_positions,
                key_pos=positions[level],
                cross_attn_mask=attended_positions(mask_pred, sizes[level]),
            )
            cls_pred, mask_pred = self._predict(queries, mask_features)
            all_cls_pred.append(cls_pred)
            all_mask_pred.append(mask_pred)
        return all_cls_pred, all_mask_pred

    def _predict(self, queries: Tensor, mask_features: Tensor) -> tuple[Tensor, Tensor]:
        queries = self.transformer_decoder.post_norm(queries)
        mask_pred = torch.einsum('nqc,nchw->nqhw', self.mask_embed(queries), mask_features)
        return self.cls_embed(queries), mask_pred

    def quarter_scores(self, x: Sequence[Tensor]) -> Tensor:
        """Return the scores of the classes at the masks' resolution, ``[N, K, h, w]``.

        Args:
            x: the backbone's maps ``[N, C_i, h_i, w_i]``, from high to low resolution.
        """
        all_cls_pred, all_mask_pred = self(x)
        return combine(all_cls_pred[-1], all_mask_pred[-1])

    def predict(self, x: Sequence[Tensor], batch_img_metas: list[dict[str, Any]], test_cfg: Any) -> Tensor:
        """Return the scores of the classes ``[N, K, H, W]`` at the size of what the backbone was given.

        They are sums over the queries of probabilities, as in the originals, and not softmaxed.

        Args:
            x: the backbone's maps ``[N, C_i, h_i, w_i]``, from high to low resolution.
            batch_img_metas: the first one has the size, under the keys that MMSegmentation's heads look at:
                ``img_shape`` if it is a ``torch.Size``, as for a crop, else ``pad_shape``, else ``img_shape``.
            test_cfg: not needed; MMSegmentation passes it.
        """
        size = batch_img_metas[0]['img_shape']
        if not isinstance(size, torch.Size):
            size = batch_img_metas[0].get('pad_shape', size)
        scores = self.quarter_scores(x)
        return F.interpolate(scores, tuple(size[:2]), mode='bilinear', align_corners=self.align_corners)

    def loss(self, x: Sequence[Tensor], batch_data_samples: Sequence[Any], train_cfg: Any) -> dict[str, Tensor]:
        """Return the losses of all predictions: ``loss_*`` of the last one, ``dI.loss_*`` of the I-th before it.

        Args:
            x: the backbone's maps ``[N, C_i, h_i, w_i]``, from high to low resolution.
            batch_data_samples: one for each image, with the label map ``gt_sem_seg``, ``[1, H, W]``.
            train_cfg: ``assigner``, a config with the ``match_costs`` by which queries are matched to masks;
                ``num_points``, in how many points masks are compared; ``oversample_ratio`` and
                ``importance_sample_ratio``, by which these are chosen.

        Raises:
            ValueError: ``train_cfg`` has other entries, or a label map has labels that are no classes.
        """
        all_cls_pred, all_mask_pred = self(x)
        criterion = self._criterion_of({**(train_cfg or {}), **self.train_cfg})
        with torch.autocast(x[0].device.type, enabled=False):
            dtype = torch.promote_types(all_mask_pred[-1].dtype, torch.float32)
            targets = [
                mask_targets(
                    sample.gt_sem_seg.data, num_classes=self.num_classes, ignore_index=self.ignore_index, dtype=dtype
                )
                for sample in batch_data_samples
            ]
            predictions = zip(all_cls_pred, all_mask_pred, strict=True)
            losses = [criterion(cls_pred.to(dtype), masks.to(dtype), targets) for cls_pred, masks in predictions]
        named = dict(losses[-1])
        for index, earlier in enumerate(losses[:-1]):
            named.update({f'd{index}.{name}': loss for name, loss in earlier.items()})
        return named

    def _criterion_of(self, train_cfg: dict[str, Any]) -> MaskCriterion:
        if self._criterion is not None and self._criterion[0] == train_cfg:
            return self._criterion[1]
        # MMDetection's sampler, which keeps all that was matched, is there in configs that were written for it
        settings = {name: value for name, value in train_cfg.items() if name != 'sampler'}
        known = {'assigner', 'num_points', 'oversample_ratio', 'importance_sample_ratio'}
        if 'assigner' not in settings or not settings.keys() <= known:
            raise InputError(
                f"train_cfg has {sorted(train_cfg)}, but must have 'assigner' and may have "
                f'{sorted(known - {"assigner"})}; give them to the segmentor or to the head'
            )
        criterion = MaskCriterion(
            num_classes=self.num_classes,
            class_weight=self.class_weight,
            loss_cls=self.loss_cls,
            loss_mask=self.loss_mask,
            loss_dice=self.loss_dice,
            **settings,
        )
        self._criterion = (train_cfg, criterion)
        return criterion


def combine(cls_pred: Tensor, mask_pred: Tensor) -> Tensor:
    """Return how much every class is in every pixel: probabilities of masks, weighted by those of their classes.

    Args:
        cls_pred: logits of the classes and of "no object", ``[N, Q, K + 1]``.
        mask_pred: logits of the masks, ``[N, Q, h, w]``.

    Returns:
        ``[N, K, h, w]``.
    """
    return torch.einsum('nqk,nqhw->nkhw', cls_pred.softmax(-1)[..., :-1], mask_pred.sigmoid())


@torch.no_grad()
def attended_positions(mask_pred: Tensor, size: tuple[int, int]) -> Tensor:
    """Return where queries attend: where their masks are, and everywhere if a mask is nowhere.

    Args:
        mask_pred: logits of the masks, ``[N, Q, h, w]``.
        size: of the map that is attended to, (h_i, w_i).

    Returns:
        ``[N, 1, Q, h_i*w_i]`` bool.
    """
    masks = F.interpolate(mask_pred, size, mode='bilinear', align_corners=False).flatten(2)
    attended = masks.sigmoid() >= 0.5
    return (attended | ~attended.any(-1, keepdim=True))[:, None]


def _recompute_feed_forward(transformer: Any) -> None:
    for layer in transformer.layers:
        layer.ffn.layers = RecomputedLayers(*layer.ffn.layers)
