"""Masks are compared in points instead of in every pixel (PointRend, https://arxiv.org/abs/1912.08193).

Shape notation: n masks, P points.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def sample_points(maps: Tensor, points: Tensor) -> Tensor:
    """Return the values of maps in points, interpolated bilinearly.

    Args:
        maps: ``[n, h, w]``.
        points: ``[n, P, 2]`` (x, y), every map spans [0, 1]; of the type of ``maps``.

    Returns:
        ``[n, P]``.
    """
    grid = 2.0 * points[:, :, None] - 1.0  # [n, P, 1, 2]
    return F.grid_sample(maps[:, None], grid, align_corners=False)[:, 0, :, 0]


def random_points(like: Tensor, number: int) -> Tensor:
    """Return points ``[1, number, 2]`` for all maps together, spread evenly, in the type of ``like``."""
    return torch.rand((1, number, 2), device=like.device).to(like.dtype)


def uncertain_points(logits: Tensor, number: int, oversample_ratio: float, importance_sample_ratio: float) -> Tensor:
    """Return points in which masks are undecided, that is where their logits are small, and random ones beside them.

    Args:
        logits: of the masks, ``[n, h, w]``.
        number: P, points for each mask.
        oversample_ratio: how many times P random points the undecided ones are chosen from.
        importance_sample_ratio: which part of the P points are undecided ones.

    Returns:
        ``[n, P, 2]`` (x, y), in the type of ``logits``.
    """
    n, device = logits.shape[0], logits.device
    chosen = int(importance_sample_ratio * number)
    candidates = torch.rand(n, int(number * oversample_ratio), 2, device=device).to(logits.dtype)
    certainty = sample_points(logits, candidates).abs()
    nearest = certainty.topk(chosen, dim=1, largest=False).indices[..., None].expand(-1, -1, 2)
    points = candidates.gather(1, nearest)
    if chosen < number:
        others = torch.rand(n, number - chosen, 2, device=device).to(logits.dtype)
        points = torch.cat((points, others), dim=1)
    return points
