"""Backbones as programs: compiled by torch.compile, and captured into a CUDA graph by their very first call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from internimage import InternImage

import torch
from torch import Tensor, nn

from support.backbones import small

IMAGE = (2, 3, 96, 160)
# The same sums in another order, through a few dozen layers.
ALLOWED = 1e-4
BACKBONES = {
    'ViTAdapter': lambda: small('ViTAdapter'),
    'InternImage': lambda: InternImage(
        channels=16, depths=[1, 1, 1, 1], groups=[1, 2, 4, 8], drop_path_rate=0.0
    ).eval(),
}


def _with_gradient(backbone: nn.Module, image: Tensor) -> list[Tensor]:
    image = image.clone().requires_grad_()
    outputs = backbone(image)
    (gradient,) = torch.autograd.grad(sum(output.square().mean() for output in outputs), image)
    return [*(output.detach() for output in outputs), gradient]


def compiled(backbone: nn.Module, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return maps and gradient of the compiled backbone, and those of the backbone as it is."""
    wanted = _with_gradient(backbone, image)
    # a dry run traces and differentiates, but leaves out the C++ compiler, which takes minutes
    backend = 'inductor' if image.is_cuda else 'aot_eager'
    return _with_gradient(torch.compile(backbone, backend=backend), image), wanted


@torch.no_grad()
def captured(backbone: nn.Module, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return what a graph of the backbone's very first call gives for an image that came later, and what it should."""
    place = torch.zeros_like(image)
    graph = torch.cuda.CUDAGraph()
    # a capture that fails stays on its stream, which ends here
    with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph):
        outputs = backbone(place)
    place.copy_(image)
    graph.replay()
    return list(outputs), list(backbone(image))


def programs(device: str) -> dict[str, Callable[[], Iterator[dict[str, object]]]]:
    """Return the checks by name; there are no graphs on a CPU."""
    checks = {f'{name}, first call captured': (name, captured) for name in BACKBONES} if device == 'cuda' else {}
    checks['InternImage compiled'] = ('InternImage', compiled)  # last: it takes longer than all else

    def check(what: str, name: str, run: Callable[..., tuple[list[Tensor], list[Tensor]]]) -> Iterator[dict]:
        torch.manual_seed(0)
        got, wanted = run(BACKBONES[name]().to(device), torch.randn(IMAGE).to(device))
        distance = max(((g - w).abs().max() / w.abs().max()).item() for g, w in zip(got, wanted, strict=True))
        entry = {'check': what, 'distance': float(f'{distance:.3g}'), 'allowed': ALLOWED}
        yield {'precision': 'float32', **entry, 'passed': distance < ALLOWED}

    return {what: partial(check, what, *how) for what, how in checks.items()}
