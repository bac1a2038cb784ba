"""Backbones as programs: compiled by torch.compile, and captured into a CUDA graph by their very first call."""

from __future__ import annotations

from collections.abc import Iterator

from internimage import InternImage

import torch
from torch import Tensor, nn

from support.backbones import small

IMAGE = (2, 3, 96, 160)
# The same sums in another order, through a few dozen layers.
ALLOWED = 1e-4


def backbones() -> dict[str, nn.Module]:
    """Return small backbones with both operators."""
    torch.manual_seed(0)
    convolutional = InternImage(channels=16, depths=[1, 1, 2, 1], groups=[1, 2, 4, 8], drop_path_rate=0.0)
    return {'ViTAdapter': small('ViTAdapter'), 'InternImage': convolutional.eval()}


def _distance(got: list[Tensor], wanted: list[Tensor]) -> float:
    return max(((g - w).abs().max() / w.abs().max()).item() for g, w in zip(got, wanted, strict=True))


def _passed(name: str, what: str, got: list[Tensor], wanted: list[Tensor]) -> dict[str, object]:
    distance = _distance(got, wanted)
    entry = {'check': f'{name} {what}', 'distance': float(f'{distance:.3g}'), 'allowed': ALLOWED}
    return {'precision': 'float32', **entry, 'passed': distance < ALLOWED}


def _with_gradient(backbone: nn.Module, image: Tensor) -> list[Tensor]:
    image = image.clone().requires_grad_()
    outputs = backbone(image)
    (gradient,) = torch.autograd.grad(sum(output.square().mean() for output in outputs), image)
    return [*(output.detach() for output in outputs), gradient]


@torch.no_grad()
def captured(backbone: nn.Module, image: Tensor) -> list[Tensor]:
    """Return what a graph gives that was captured from the first call of the backbone, for an image that came later."""
    place = torch.zeros_like(image)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = backbone(place)
    place.copy_(image)
    graph.replay()
    return list(outputs)


def check_programs(device: str) -> Iterator[dict[str, object]]:
    """Yield the checks; there are no graphs on a CPU."""
    image = torch.randn(IMAGE, generator=torch.Generator().manual_seed(1)).to(device)
    for name, backbone in backbones().items():
        backbone.to(device)
        if device == 'cuda':
            outputs = captured(backbone, image)
            with torch.no_grad():
                yield _passed(name, 'captured without a warm-up', outputs, list(backbone(image)))
        if name == 'ViTAdapter':  # one is enough: to compile takes longer than all else
            wanted = _with_gradient(backbone, image)
            yield _passed(name, 'compiled', _with_gradient(torch.compile(backbone), image), wanted)
