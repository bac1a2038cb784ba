"""Mask2Former's losses (https://arxiv.org/abs/2112.01527, section 3.3): queries are matched to masks, and compared.

Shape notation: N batch, Q queries, K classes, n masks of an image, P points.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmdet.registry import TASK_UTILS
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from .points import random_points, sample_points, uncertain_points
from .targets import MaskTargets

Loss = Callable[..., Tensor]
# A diverged model has costs that cannot be compared; they become ones that nothing is matched at.
_PROHIBITIVE = 1e6


class MaskCriterion:
    """Matches the queries of each image to its masks, and returns how far they are from them.

    Original: ``Mask2FormerHead.loss_single`` (decode_heads/mask2former_head.py).

    Args:
        num_classes: K; class K is "no object".
        class_weight: of the K classes and of "no object".
        loss_cls: of logits and labels; like the next two, it takes the ``avg_factor`` that its sum is divided by.
        loss_mask: of the masks' logits and values, point by point.
        loss_dice: of the masks' logits and values, mask by mask.
        assigner: config of an assigner with ``match_costs``, such as ``mmdet.HungarianAssigner``.
        num_points: P, in how many points masks are compared.
        oversample_ratio: see :func:`~.points.uncertain_points`.
        importance_sample_ratio: see :func:`~.points.uncertain_points`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        class_weight: Sequence[float],
        loss_cls: Loss,
        loss_mask: Loss,
        loss_dice: Loss,
        assigner: dict[str, Any],
        num_points: int = 12544,
        oversample_ratio: float = 3.0,
        importance_sample_ratio: float = 0.75,
    ) -> None:
        self.num_classes = num_classes
        self.class_weight = class_weight
        self.loss_cls = loss_cls
        self.loss_mask = loss_mask
        self.loss_dice = loss_dice
        self.match_costs = TASK_UTILS.build(assigner).match_costs
        self.num_points = num_points
        self.oversample_ratio = oversample_ratio
        self.importance_sample_ratio = importance_sample_ratio

    def __call__(self, cls_pred: Tensor, mask_pred: Tensor, targets: Sequence[MaskTargets]) -> dict[str, Tensor]:
        """Return ``loss_cls``, ``loss_mask`` and ``loss_dice`` of one prediction for a batch.

        Args:
            cls_pred: logits of the classes and of "no object", ``[N, Q, K + 1]``.
            mask_pred: logits of the masks, ``[N, Q, h, w]``.
            targets: of each image, of any size.
        """
        labels = torch.full(cls_pred.shape[:2], self.num_classes, device=cls_pred.device)  # [N, Q]
        predicted, wanted = [], []
        for image, target in enumerate(targets):
            queries, masks = self.match(cls_pred[image], mask_pred[image], target)
            labels[image, queries] = target.labels[masks]
            predicted.append(mask_pred[image, queries])
            wanted.append(target.masks[masks])
        class_weight = cls_pred.new_tensor(self.class_weight)
        loss_cls = self.loss_cls(cls_pred.flatten(0, 1), labels.flatten(), avg_factor=class_weight[labels].sum())
        logits = torch.cat(predicted)  # [sum of n, h, w]
        # on every process, or the others would wait for this one
        number = reduce_mean(cls_pred.new_tensor(float(len(logits)))).clamp(min=1.0)
        if len(logits) == 0:
            nothing = logits.sum()  # with a gradient, which is zero, so that all processes have the same parameters
            return {'loss_cls': loss_cls, 'loss_mask': nothing, 'loss_dice': nothing}
        with torch.no_grad():
            points = uncertain_points(logits, self.num_points, self.oversample_ratio, self.importance_sample_ratio)
            values = sample_points(torch.cat(wanted), points)  # [sum of n, P]
        logits = sample_points(logits, points)  # [sum of n, P]
        return {
            'loss_cls': loss_cls,
            'loss_mask': self.loss_mask(logits.flatten(), values.flatten(), avg_factor=number * self.num_points),
            'loss_dice': self.loss_dice(logits, values, avg_factor=number),
        }

    @torch.no_grad()
    def match(self, cls_pred: Tensor, mask_pred: Tensor, target: MaskTargets) -> tuple[Tensor, Tensor]:
        """Pair queries and masks of one image so that all pairs together cost least.

        Args:
            cls_pred: ``[Q, K + 1]``.
            mask_pred: ``[Q, h, w]``.
            target: the image's masks.

        Returns:
            Positions of the paired queries in ascending order, and of their masks.
        """
        points = random_points(mask_pred, self.num_points)
        if len(target.labels) == 0:
            return target.labels, target.labels
        # costs are computed in float32, as MMDetection's do not take other types
        predicted = InstanceData(
            scores=cls_pred.float(), masks=sample_points(mask_pred, points.expand(len(mask_pred), -1, -1)).float()
        )
        wanted = InstanceData(
            labels=target.labels, masks=sample_points(target.masks, points.expand(len(target.masks), -1, -1)).float()
        )
        cost = sum(cost(pred_instances=predicted, gt_instances=wanted) for cost in self.match_costs)
        cost = torch.nan_to_num(cost, _PROHIBITIVE, _PROHIBITIVE, -_PROHIBITIVE)  # [Q, n]
        queries, masks = linear_sum_assignment(cost.cpu().numpy())
        return torch.from_numpy(queries).to(cost.device), torch.from_numpy(masks).to(cost.device)
