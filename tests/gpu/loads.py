"""Says what was loaded, and fails unless a kernel computes on the device: a library for other GPUs loads as well."""

import argparse

import torch

import shared_ops
from shared_ops.__main__ import report


def main() -> None:
    """Take the middle of six numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cuda')
    device = parser.parse_args().device
    print(shared_ops.__file__, report(), sep='\n')
    if not shared_ops.kernels_available(device):
        raise SystemExit(f'the kernels for {device} were not loaded: the table above says why')
    value = torch.arange(6.0, device=device).reshape(1, 6, 1, 1)
    middle, one = torch.full((1, 1, 1, 1, 1, 2), 0.5, device=device), torch.ones(1, 1, 1, 1, 1, device=device)
    output = shared_ops.ms_deform_attn(value, [(2, 3)], [0], middle, one)
    if output.item() != 2.5:
        raise SystemExit(f'the kernel for {device} gives {output.item()} for what is 2.5')


if __name__ == '__main__':
    main()
