"""What every backbone has to do whatever is inside: any size of image, precision, copies, recomputation.

A package's tests call these with a small backbone of its own, in evaluation mode.
"""

import copy
import pickle
from collections.abc import Callable, Sequence

import torch
from torch import nn

STRIDES = (4, 8, 16, 32)


@torch.no_grad()
def check_size(backbone: nn.Module, height: int, width: int, channels: Sequence[int]) -> None:
    """Maps of all strides, with so many channels, cover an image of this size."""
    features = backbone(torch.randn(1, 3, height, width))
    for feature, stride, number in zip(features, STRIDES, channels, strict=True):
        assert feature.shape == (1, number, -(-height // stride), -(-width // stride))
        assert feature.isfinite().all()


@torch.no_grad()
def check_padding(backbone: nn.Module) -> None:
    """Other sizes give the maps of the image that is filled up with zeros, cut."""
    image = torch.randn(2, 3, 70, 33)
    padded = backbone(nn.functional.pad(image, (0, 31, 0, 26)))
    for feature, whole in zip(backbone(image), padded):
        assert torch.equal(feature, whole[..., : feature.shape[2], : feature.shape[3]])


@torch.no_grad()
def check_batches(backbone: nn.Module) -> None:
    """Images of a batch do not see one another, and there may be none."""
    images = torch.randn(3, 3, 64, 96)
    for feature, *alone in zip(backbone(images), *(backbone(image[None]) for image in images)):
        torch.testing.assert_close(feature, torch.cat(alone), rtol=1e-4, atol=1e-5)
    assert [len(feature) for feature in backbone(torch.zeros(0, 3, 32, 64))] == [0] * 4


def check_recomputing(make: Callable[[bool], nn.Module]) -> None:
    """Recomputed activations give the same gradients and running statistics, and are not kept.

    Args:
        make: returns the same backbone with or without recomputing, in float64.
    """
    image = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    results, kept = [], []
    for with_cp in (False, True):
        backbone = make(with_cp).train()
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, sizes=sizes: (sizes.append(t.numel()), t)[1], lambda t: t
        ):
            features = backbone(image)
        kept.append(sum(sizes))
        sum(feature.square().mean() for feature in features).backward()
        results.append({**{n: p.grad for n, p in backbone.named_parameters()}, **dict(backbone.named_buffers())})
    for name, expected in results[0].items():
        torch.testing.assert_close(results[1][name], expected, rtol=1e-9, atol=1e-12, msg=name)
    assert kept[1] < 0.6 * kept[0]


@torch.no_grad()
def check_autocast(backbone: nn.Module) -> None:
    """Mixed precision stays near full precision."""
    image = torch.randn(1, 3, 64, 96)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        lower = backbone(image)
    for feature, expected in zip(lower, backbone(image), strict=True):
        assert feature.isfinite().all()
        assert (feature - expected).abs().max() < 0.05 * expected.abs().max()


@torch.no_grad()
def check_half_precision(backbone: nn.Module, dtype: torch.dtype) -> None:
    """Weights and images in half precision stay near full precision."""
    image = torch.randn(1, 3, 64, 96)
    lower = copy.deepcopy(backbone).to(dtype)(image.to(dtype))
    for feature, expected in zip(lower, backbone(image), strict=True):
        assert feature.dtype == dtype
        assert (feature.float() - expected).abs().max() < 0.05 * expected.abs().max()


@torch.no_grad()
def check_copies(backbone: nn.Module) -> None:
    """Copied, pickled and exported, a backbone computes the same."""
    image = torch.randn(1, 3, 32, 64)
    expected = backbone(image)
    for copied in (copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone))):
        assert all(map(torch.equal, copied(image), expected))
    exported = torch.export.export(backbone, (image,)).module()
    for feature, wanted in zip(exported(image), expected, strict=True):
        torch.testing.assert_close(feature, wanted)
