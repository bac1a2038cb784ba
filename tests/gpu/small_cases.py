"""Every kernel once, on sizes that a sanitizer gets through in seconds: types, channels, modes, fewer gradients."""

import argparse
import itertools
import json
from collections.abc import Iterator

import torch

from support.operators import MASKS, OPERATORS, forward_and_gradients, some_gradient

# of the data, and of what says where it is sampled
TYPES = (
    (torch.float64, torch.float64),
    (torch.float32, torch.float32),
    (torch.float16, torch.float16),
    (torch.bfloat16, torch.float32),
    (torch.bfloat16, torch.bfloat16),
)
# Channels of a head: scalars and vectors of every width, 4 to 32 lanes, and more than a warp reads at once.
CHANNELS = (1, 3, 8, 16, 24, 32, 64, 128, 264)


def cases(device: str) -> Iterator[tuple[str, list[torch.Tensor]]]:
    """Yield a case's name and what was computed."""
    for operator, (dtype, points), channels in itertools.product(OPERATORS.values(), TYPES, CHANNELS):
        arguments = operator.make(device, dtype, D=channels, points=points)
        name = f'{operator.name} {dtype} {points} {channels} channels'
        for deterministic in (False, True):
            torch.use_deterministic_algorithms(deterministic)
            yield f'{name} {deterministic=}', forward_and_gradients(operator, arguments)
        torch.use_deterministic_algorithms(False)
    for operator, (dtype, points), output_mask in itertools.product(OPERATORS.values(), TYPES, MASKS):
        arguments = operator.make(device, dtype, D=32, points=points)
        gradient = some_gradient(operator.function(**vars(arguments)))
        for deterministic in (False, True):
            wanted = operator.backward_overload(gradient, *operator.flat(arguments), output_mask, deterministic)
            yield f'{operator.name} {dtype} {points} {output_mask=} {deterministic=}', list(wanted)


def main() -> None:
    """Run all cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cuda')
    device = parser.parse_args().device
    count = 0
    for name, results in cases(device):
        if not all(result.isfinite().all() for result in results):
            raise SystemExit(f'{name}: not every number is finite')
        count += 1
    print(json.dumps({'cases': count, 'device': device}))


if __name__ == '__main__':
    main()
