"""Whole backbones with the compiled operators and with plain PyTorch's: ``python shared_ops/benchmarks/backbones.py``.

Everything else is the same module with the same weights, as they are before training. What it computes is compared
before it is timed, and both have a turn in every round. Results go to ``<out>/<package>-cpu.json``; the tables of those
that are committed stand in the packages' READMEs.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from contest import DIRECTIONS
from machine import describe
from model_tables import backbone_table
from results import rounded
from summary import OURS
from timing import Settings, compete, on_cpu
from torch import Tensor, nn

import shared_ops
from shared_ops import dcnv3_module, ms_deform_attn_module

PLAIN = 'plain PyTorch'
# package: config whose backbone is timed, by its path among the package's
CONFIGS = {
    'vit_adapter': 'ade20k/upernet_deit_adapter_tiny_512_160k_ade20k.py',
    'vit_comer': 'ade20k/upernet_vit_comer_tiny_512_160k_ade20k.py',
    'internimage': 'ade20k/upernet_internimage_t_512_160k_ade20k.py',
}
# Largest difference of the maps over their largest value, in float32.
TOLERANCE = 1e-4


def plain_dcnv3(*tensors: Tensor, groups: int, offset_scale: float, **pairs: int) -> Tensor:
    """Call the reference, which takes pairs (h, w) only, as the module calls the operator."""
    both = {name: (number, number) for name, number in pairs.items()}
    return shared_ops.reference.dcnv3(*tensors, **both, groups=groups, offset_scale=offset_scale)


@contextmanager
def plain_operators() -> Iterator[None]:
    """Have the modules of the operators call the references."""
    kept = ms_deform_attn_module.ms_deform_attn, dcnv3_module.dcnv3
    ms_deform_attn_module.ms_deform_attn = shared_ops.reference.ms_deform_attn
    dcnv3_module.dcnv3 = plain_dcnv3
    try:
        yield
    finally:
        ms_deform_attn_module.ms_deform_attn, dcnv3_module.dcnv3 = kept


def build(package: str) -> nn.Module:
    """Return the backbone of the package's config."""
    config_dir = importlib.import_module(package).CONFIG_DIR
    from mmengine.config import Config
    from mmengine.model import revert_sync_batchnorm
    from mmseg.registry import MODELS

    torch.manual_seed(0)
    return revert_sync_batchnorm(MODELS.build(Config.fromfile(config_dir / CONFIGS[package]).model.backbone)).eval()


def deviation(backbone: nn.Module, image: Tensor) -> float:
    """Return how far the maps with the two operators are apart, relative to the largest value."""
    with torch.no_grad():
        ours = backbone(image)
        with plain_operators():
            plain = backbone(image)
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(ours, plain, strict=True))


def call_of(backbone: nn.Module, image: Tensor, direction: str) -> Callable[[], object]:
    """Return the call that is timed."""

    def forward() -> object:
        with torch.no_grad():
            return backbone(image)

    def forward_and_backward() -> object:
        total = sum(feature.mean() for feature in backbone(image))
        return torch.autograd.grad(total, [*backbone.parameters()], allow_unused=True)

    return forward if direction == 'forward' else forward_and_backward


def with_plain_operators(call: Callable[[], object]) -> Callable[[], object]:
    """Return the same call with the references inside."""

    def plain() -> object:
        with plain_operators():
            return call()

    return plain


def measure(package: str, size: int, directions: list[str], settings: Settings) -> dict[str, object]:
    """Time one backbone on one square image.

    Raises:
        SystemExit: the kernels are not loaded, or the two backbones do not compute the same.
    """
    if not shared_ops.kernels_available('cpu'):
        raise SystemExit(f'the CPU kernels are not loaded: {shared_ops._library.failures["cpu"]}')
    backbone = build(package)
    image = torch.randn(1, 3, size, size)
    found = deviation(backbone, image)
    if not found <= TOLERANCE:
        raise SystemExit(f'{package}: the maps deviate by {found:.1e}, {TOLERANCE:.0e} is allowed')
    times = []
    for direction in directions:
        call = call_of(backbone, image, direction)
        turns = [on_cpu(call), on_cpu(with_plain_operators(call))]
        for name, seconds in zip((OURS, PLAIN), compete(turns, settings)):
            times.append({'direction': direction, 'implementation': name, 'seconds': rounded(seconds)})
    return {
        'machine': describe('cpu'),
        'backbone': {'package': package, 'config': Path(CONFIGS[package]).stem, 'image': [size, size], 'batch': 1},
        'deviation': found,
        'times': times,
    }


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('packages', nargs='+', choices=list(CONFIGS), metavar='PACKAGE', help=', '.join(CONFIGS))
    parser.add_argument('--size', type=int, default=512, help='side of the image in pixels (default: %(default)s)')
    parser.add_argument('--directions', nargs='+', choices=DIRECTIONS, default=list(DIRECTIONS))
    parser.add_argument('--rounds', type=int, default=7, help='turns of both (default: %(default)s)')
    parser.add_argument('--threads', type=int, help='all that PyTorch would take unless given')
    parser.add_argument(
        '--out', type=Path, default=Path('work_dirs/benchmarks/backbones'), help='folder of the results'
    )
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    settings = replace(Settings(), rounds=arguments.rounds, least_rounds=arguments.rounds)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for package in arguments.packages:
        results = measure(package, arguments.size, arguments.directions, settings)
        path = arguments.out / f'{package}-cpu.json'
        path.write_text(json.dumps(results, indent=1) + '\n', encoding='utf-8')
        print(f'{backbone_table(results)}\n\nwrote {path}')


if __name__ == '__main__':
    main()
