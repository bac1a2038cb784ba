"""Whole models on a device beside the CPU's numbers: scores, loss, gradients, mixed precision; one JSON line a check.

The reference is float32 on the CPU; of a dry run on the CPU, float64.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest import mock

import torch
from mmseg.structures import SegDataSample
from programs import programs
from torch import Tensor, nn
from whole_models import BATCH, SIZES, WHOLE_MODELS, WholeModel, draw

from support.reference import metas

# Largest deviation of the scores, relative to their largest value; then of the loss; then of the norm of a gradient's
# deviation, relative to the gradient's norm.
# float32: the originals' own noise is 5e-6, and twenty times that leaves room for other algorithms of a convolution.
# Where a sampling point crosses a pixel, or a mask its threshold, gradients jump, so they are held to 2e-2 alone.
# Mixed precision: bfloat16 resolves 2^-8 and float16 2^-11, and layer after layer rounds. Measured on a CPU, bfloat16
# moves the scores by 1e-2, those of Mask2Former, whose masks cross thresholds, by 7e-2; gradients, which jump where
# rounding moves a point over the edge of a pixel, by 0.3. float16 moves them by a fifth of that. Twice that is allowed.
ALLOWED = {
    'float32': (1e-4, 1e-4, 2e-2),
    'bfloat16': (0.15, 2e-2, 0.6),
    'float16': (3e-2, 5e-3, 0.2),
}
# What is tried where; float16 is emulated on most CPUs, and slow.
PRECISIONS = {'cuda': ('float32', 'bfloat16', 'float16'), 'cpu': ('float32', 'bfloat16')}
# float16 has no numbers below 6e-8: the loss is multiplied before the gradients are computed, as everybody does.
SCALE = {'float32': 1.0, 'bfloat16': 1.0, 'float16': 1024.0}


@dataclass
class Computed:
    """What a model gave: scores of images, the loss of a training step, and the gradients of some parameters."""

    scores: Tensor
    loss: Tensor
    gradients: dict[str, Tensor]


@contextlib.contextmanager
def same_points_everywhere() -> Iterator[None]:
    """Have Mask2Former draw its points on the CPU, from one seed, whatever device they are for."""
    generator, original = torch.Generator().manual_seed(3), torch.rand

    def rand(*size: object, device: torch.device | str | None = None) -> Tensor:
        return original(*size, generator=generator).to(device or 'cpu')

    with mock.patch.object(torch, 'rand', rand):
        yield


class Trial:
    """A copy of a model on a device, in one precision.

    Args:
        model: in float32 on the CPU.
        device: where it goes.
        precision: ``'float64'`` or ``'float32'`` throughout; ``'bfloat16'`` or ``'float16'`` by autocast.
        images: a batch, normalized.
        samples: its labels.
    """

    def __init__(
        self, model: nn.Module, device: str, precision: str, images: Tensor, samples: list[SegDataSample]
    ) -> None:
        dtype = torch.float64 if precision == 'float64' else torch.float32
        self.model = copy.deepcopy(model).to(device, dtype)
        self.images, self.samples = images.to(device, dtype), [sample.to(device) for sample in samples]
        mixed = precision in ('bfloat16', 'float16')
        self._autocast = lambda: torch.autocast(device, getattr(torch, precision), enabled=mixed)
        self._scale = SCALE.get(precision, 1.0)
        self._optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-5)

    @torch.no_grad()
    def scores(self) -> Tensor:
        """Return the scores of whole images."""
        self.model.eval()
        with self._autocast():
            return self.model.encode_decode(self.images, metas(self.images))

    def step(self, parameters: tuple[str, ...] = ()) -> tuple[Tensor, dict[str, Tensor]]:
        """Take a training step; return its loss and the gradients of ``parameters``."""
        self.model.train()
        for module in self.model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                # Of two images a map that is pooled to one pixel has two values, and any two are normalized to about -1
                # and 1: a step, whose gradient is rounding.
                module.eval()
        self._optimizer.zero_grad()
        with self._autocast(), same_points_everywhere():
            loss, _ = self.model.parse_losses(self.model(self.images, self.samples, mode='loss'))
        (loss * self._scale).backward()
        gradients = {name: self.model.get_parameter(name).grad / self._scale for name in parameters}
        self._optimizer.step()
        return loss.detach(), gradients

    def compute(self, parameters: tuple[str, ...]) -> Computed:
        """Return everything that is compared."""
        return Computed(self.scores(), *self.step(parameters))


def farthest(got: Tensor, wanted: Tensor) -> float:
    """Return the largest deviation relative to the largest value; NaN and infinity stay what they are."""
    got, wanted = got.double().cpu(), wanted.double().cpu()
    return ((got - wanted).abs().max() / wanted.abs().max()).item()


def relative_norm(got: Tensor, wanted: Tensor) -> float:
    """Return the norm of the deviation relative to the norm of what is wanted."""
    got, wanted = got.double().cpu(), wanted.double().cpu()
    return ((got - wanted).norm() / wanted.norm()).item()


def timed(call: Callable[[], object], device: str) -> dict[str, object]:
    """Return seconds and, on a GPU, peak bytes of a call that has run before."""
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    if device == 'cuda':
        torch.cuda.synchronize()
    seconds = round(time.perf_counter() - start, 4)
    return {'seconds': seconds, **({'bytes': torch.cuda.max_memory_allocated()} if device == 'cuda' else {})}


def check(model: WholeModel, device: str) -> Iterator[dict[str, object]]:
    """Yield the checks of one model, each with what was found, what is allowed and whether it passed."""
    loaded, classes = model.load(device)
    images, samples = draw(device, classes)
    against = 'float32' if device == 'cuda' else 'float64'
    wanted = Trial(loaded, 'cpu', against, images, samples).compute(model.parameters)
    for precision in PRECISIONS[device]:
        scores, loss, gradient = ALLOWED[precision]
        trial = Trial(loaded, device, precision, images, samples)
        got = trial.compute(model.parameters)
        found = {
            'scores': (farthest(got.scores, wanted.scores), scores),
            'loss': (farthest(got.loss, wanted.loss), loss),
            **{
                f'gradient of {name}': (relative_norm(got.gradients[name], wanted.gradients[name]), gradient)
                for name in model.parameters
            },
        }
        for what, (distance, allowed) in found.items():
            # a NaN is not less than anything
            entry = {'check': what, 'distance': float(f'{distance:.3g}'), 'allowed': allowed}
            yield {'precision': precision, **entry, 'passed': distance < allowed}
        for what, call in (('forward', trial.scores), ('training step', trial.step)):
            finite = all(parameter.isfinite().all() for parameter in trial.model.parameters())
            yield {'precision': precision, 'check': f'time of a {what}', **timed(call, device), 'passed': bool(finite)}


def main() -> None:
    """Check what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cuda')
    parser.add_argument('--out', type=Path, required=True, help='file to which a line is added for each check')
    arguments = parser.parse_args()
    # what is compared with float32 of a CPU has to be float32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    height, width = SIZES[arguments.device]
    checks = [(name, partial(check, model, arguments.device)) for name, model in WHOLE_MODELS.items()]
    checks += [('programs', program) for program in programs(arguments.device).values()]
    failed = 0
    for name, run in checks:
        about = {'model': name, 'device': arguments.device, 'images': [BATCH, 3, height, width]}
        with arguments.out.open('a', encoding='utf-8') as file:
            try:
                for entry in run():
                    failed += not entry['passed']
                    file.write(json.dumps({**about, **entry}) + '\n')
                    file.flush()
            except Exception as error:
                failed += 1
                what = f'{type(error).__name__}: {error}'[:1000]
                file.write(json.dumps({**about, 'check': 'runs', 'error': what, 'passed': False}) + '\n')
    if failed:
        raise SystemExit(f'{failed} checks failed: see {arguments.out.name}')


if __name__ == '__main__':
    main()
