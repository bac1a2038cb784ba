"""Half types as the kernels read and write them: every number there is, and every way to round."""

import pytest
import torch
from torch import Tensor

import shared_ops

pytestmark = pytest.mark.needs_kernels

HALF = (torch.float16, torch.bfloat16)
# whole vectors, parts of one, and both, for every width of vector and kind of block
CHANNELS = (1, 7, 8, 16, 20, 32, 64, 75)


def every_number(dtype: torch.dtype) -> Tensor:
    return torch.arange(-(1 << 15), 1 << 15, dtype=torch.int16).view(dtype)


def scale(values: Tensor, factor: float) -> Tensor:
    """Multiply ``values`` ``[S, D]`` in the kernel: one query on the centre of every pixel, weighted by ``factor``."""
    S, D = values.shape
    locations = ((torch.arange(S, dtype=torch.float64) + 0.5) / S).float()
    locations = torch.stack([locations, torch.full_like(locations, 0.5)], -1)
    output = shared_ops.ms_deform_attn(
        values.reshape(1, S, 1, D),
        [(1, S)],
        [0],
        locations.reshape(1, S, 1, 1, 1, 2),
        torch.full((1, S, 1, 1, 1), factor),
    )
    return output.reshape(S, D)


def same(got: Tensor, wanted: Tensor) -> bool:
    """Compare bit by bit; a NaN may be any NaN."""
    return bool(((got.view(torch.int16) == wanted.view(torch.int16)) | (got.isnan() & wanted.isnan())).all())


def finite_numbers(dtype: torch.dtype, channels: int) -> Tensor:
    """Return all finite numbers as ``[maps, 64, channels]``: on 64 pixels positions are exact."""
    numbers = every_number(dtype)
    numbers = numbers[numbers.isfinite()]
    whole = -len(numbers) % (64 * channels)
    return torch.cat([numbers, numbers[:whole]]).reshape(-1, 64, channels)


@pytest.mark.parametrize('channels', CHANNELS)
@pytest.mark.parametrize('dtype', HALF, ids=str)
def test_every_number_is_read_and_written(dtype: torch.dtype, channels: int) -> None:
    for values in finite_numbers(dtype, channels):
        assert same(scale(values, 1.0), values + 0)  # + 0: a sum of zeros is a positive zero


@pytest.mark.parametrize('channels', CHANNELS)
@pytest.mark.parametrize('dtype', HALF, ids=str)
def test_results_are_rounded_to_nearest(dtype: torch.dtype, channels: int) -> None:
    """Products that lie between two numbers, halfway, below the smallest and above the largest one."""
    for factor in (0.5, 1.5, 0.75, 1.0009765625, 0.0048828125, 3.0):
        for values in finite_numbers(dtype, channels)[:: 3 if channels > 1 else 16]:
            assert same(scale(values, factor), (values.float() * factor + 0).to(dtype)), factor


@pytest.mark.parametrize('dtype', HALF, ids=str)
def test_infinity_and_nan_are_written(dtype: torch.dtype) -> None:
    values = torch.tensor([[float('inf'), float('-inf'), float('nan'), 1.0]]).to(dtype)
    assert same(scale(values, 1.0), values)
