"""The numbers of the CUDA kernels, run on the CPU, against plain PyTorch in float64."""

import math
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from shared_ops._library import warn_of_reference
from support.operators import MASKS, OPERATORS, Operator

ATTENTION, CONVOLUTION = OPERATORS['ms_deform_attn'], OPERATORS['dcnv3']

HALVES = (torch.float16, torch.bfloat16)
# Largest difference over largest value: rounding of the result, and of float32 sums and positions.
TOLERANCES = {torch.float64: 1e-13, torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 8e-3}

# type of the values, type of the points
TYPES = [
    (torch.float64, torch.float64), (torch.float32, torch.float32),
    *[(half, points) for half in HALVES for points in (torch.float32, half)],
]  # fmt: skip
IDS = [f'{str(value)[6:]}-{str(points)[6:]}' for value, points in TYPES]


def assert_near(got: Tensor, wanted: Tensor, type_of_points: torch.dtype | None = None) -> None:
    assert got.shape == wanted.shape
    difference = (got.double() - wanted).abs().max().item()
    assert difference <= TOLERANCES[type_of_points or got.dtype] * max(wanted.abs().max().item(), 1e-12)


def assert_all_near(got: list[Tensor], wanted: list[Tensor]) -> None:
    for one, other in zip(got, wanted, strict=True):
        assert_near(one, other)


def draw(operator: Operator, types: tuple[torch.dtype, torch.dtype], **sizes: object) -> tuple[SimpleNamespace, Tensor]:
    """Draw arguments, with values and points of ``types``, and a gradient of the output."""
    arguments = operator.make(dtype=types[0], points=types[1], **sizes)
    output = operator.reference(**vars(operator.converted(arguments, torch.float64)))
    return arguments, torch.randn_like(output).to(types[0])


def run(
    kernels: object,
    operator: Operator,
    arguments: SimpleNamespace,
    grad_output: Tensor,
    deterministic: bool = False,
    output_mask: Sequence[bool] = (True, True, True),
) -> list[Tensor]:
    flat = operator.flat(arguments)
    backward = getattr(kernels, f'{operator.name}_backward')
    return [getattr(kernels, operator.name)(*flat), *backward(grad_output, *flat, output_mask, deterministic)]


def expect(operator: Operator, arguments: SimpleNamespace, grad_output: Tensor) -> list[Tensor]:
    exact = vars(operator.converted(arguments, torch.float64))
    return [operator.reference(**exact), *operator.reference_backward(grad_output.double(), **exact)]


def sizes(N: int, M: int, D: int, Lq: int, P: int, *shapes: tuple[int, int]) -> dict[str, object]:
    return {'N': N, 'M': M, 'D': D, 'Lq': Lq, 'P': P, 'shapes': list(shapes)}


LEVELS = {
    'one level': sizes(2, 3, 32, 5, 4, (6, 8)),
    'three levels': sizes(2, 3, 32, 5, 4, (6, 8), (3, 4), (1, 2)),
    'four levels': sizes(1, 2, 32, 7, 4, (6, 8), (3, 4), (1, 2), (5, 1)),
    'narrow heads': sizes(3, 2, 16, 5, 3, (6, 8), (4, 3)),
    'wide heads': sizes(2, 3, 64, 5, 4, (6, 8), (1, 9)),
    'sixteen lanes left over': sizes(2, 3, 52, 11, 5, (6, 8), (1, 9)),
    'wider heads': sizes(2, 3, 128, 5, 4, (6, 8), (3, 4)),
    'one vector, many points': sizes(2, 3, 8, 5, 37, (6, 8)),
    'lanes left over': sizes(2, 3, 24, 5, 5, (6, 8), (2, 3)),
    'several rounds of channels': sizes(2, 1, 264, 3, 2, (4, 5)),
    'one channel': sizes(3, 2, 1, 5, 3, (6, 8)),
    'odd channels': sizes(2, 3, 31, 5, 3, (6, 8), (2, 1)),
    'more odd channels than lanes': sizes(2, 1, 35, 3, 2, (4, 5)),
}


def window(
    N: int, G: int, D: int, size: tuple[int, int], kernel_size: tuple[int, int], stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0), dilation: tuple[int, int] = (1, 1), offset_scale: float = 1.0,
) -> dict[str, object]:  # fmt: skip
    return {
        'N': N, 'G': G, 'D': D, 'H': size[0], 'W': size[1], 'kernel_size': kernel_size, 'stride': stride,
        'padding': padding, 'dilation': dilation, 'offset_scale': offset_scale,
    }  # fmt: skip


WINDOWS = {
    '3x3': window(2, 3, 16, (4, 5), (3, 3), padding=(1, 1)),
    '3x3 wide': window(1, 2, 32, (5, 4), (3, 3), padding=(1, 1), offset_scale=2.0),
    '5x5': window(2, 1, 16, (3, 4), (5, 5), padding=(2, 2)),
    '1x1': window(3, 2, 16, (2, 3), (1, 1)),
    'anisotropic': window(2, 3, 12, (7, 9), (3, 2), (2, 1), (1, 2), (1, 3), offset_scale=0.7),
    'nine taps in a row': window(1, 2, 16, (3, 11), (1, 9), padding=(0, 4)),
}
CASES = {
    **{name: (ATTENTION, drawn) for name, drawn in LEVELS.items()},
    **{name: (CONVOLUTION, drawn) for name, drawn in WINDOWS.items()},
}


@pytest.mark.parametrize('deterministic', [False, True], ids=['atomic', 'deterministic'])
@pytest.mark.parametrize('types', TYPES, ids=IDS)
@pytest.mark.parametrize('name', CASES)
def test_numbers(kernels, name, types, deterministic) -> None:
    operator, sizes_of_case = CASES[name]
    drawn = draw(operator, types, **sizes_of_case)
    assert_all_near(run(kernels, operator, *drawn, deterministic), expect(operator, *drawn))


@pytest.mark.parametrize('deterministic', [False, True], ids=['atomic', 'deterministic'])
@pytest.mark.parametrize('D', [16, 5])
def test_points_that_do_not_count(kernels, D, deterministic) -> None:
    """They read nothing, so not even an infinite value shows, and have no gradient."""
    types = (torch.float32, torch.float32)
    arguments, grad_output = draw(ATTENTION, types, **sizes(2, 3, D, 5, 3, (4, 6), (2, 1)))
    far = torch.tensor([math.nan, math.inf, -math.inf, 1e30, -1e30, 3e9, -0.5])
    weights = arguments.attention_weights
    arguments.sampling_locations[..., 0] = far[torch.arange(weights.numel()) % len(far)].reshape(weights.shape)
    arguments.value.fill_(math.inf)
    for got in run(kernels, ATTENTION, arguments, grad_output, deterministic):
        assert (got == 0).all()


@pytest.mark.parametrize('deterministic', [False, True], ids=['atomic', 'deterministic'])
def test_infinite_gradient_reaches_its_pixels_alone(kernels, deterministic) -> None:
    arguments, grad_output = draw(ATTENTION, (torch.float32, torch.float32), **sizes(1, 2, 8, 3, 1, (3, 140)))
    arguments.sampling_locations.fill_(0.5)
    arguments.sampling_locations[0, 1, 1] = torch.tensor([100.75 / 140, 1.25 / 3])
    grad_output[0, 1, 8 + 3] = math.inf
    grad_value = run(kernels, ATTENTION, arguments, grad_output, deterministic)[1]
    infinite = grad_value.isinf().nonzero().tolist()
    assert infinite == [[0, pixel, 1, 3] for pixel in (100, 101, 240, 241)]
    assert not grad_value.isnan().any()


@pytest.mark.parametrize('N, shape, M', [(3, (128, 128), 4), (1, (256, 256), 3)], ids=['images', 'heads'])
def test_half_precision_in_shares(emulation, choose_device, N, shape, M) -> None:
    """Images, or heads, are worked on in turn where the sums take much memory and each share fills the device."""
    drawn = draw(ATTENTION, (torch.bfloat16, torch.float32), **sizes(N, M, 16, 705, 3, shape))
    wanted = expect(ATTENTION, *drawn)
    # forward, then a kernel and a move for each of two shares; a large device gets all of this work at once
    for multiprocessors, launches in [(1, 1 + 2 * 2), (132, 1 + 2)]:
        choose_device(emulation.capability, multiprocessors)
        assert_all_near(run(emulation.operators, ATTENTION, *drawn), wanted)
        assert choose_device(emulation.capability, multiprocessors) == launches


@pytest.mark.parametrize('deterministic', [False, True], ids=['atomic', 'deterministic'])
@pytest.mark.parametrize('output_mask', MASKS, ids=str)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize('name', ['one vector, many points', 'wide heads', 'odd channels', '3x3'])
def test_gradients_that_nobody_wants(kernels, name, dtype, output_mask, deterministic) -> None:
    operator, sizes_of_case = CASES[name]
    drawn = draw(operator, (dtype, torch.float32), **sizes_of_case)
    output, *gradients = expect(operator, *drawn)
    wanted = [gradient if mask else gradient.new_empty(0) for gradient, mask in zip(gradients, output_mask)]
    got = run(kernels, operator, *drawn, deterministic, output_mask)
    for one, other in zip(got, [output, *wanted], strict=True):
        if other.numel() == 0:
            assert one.shape == other.shape
        else:
            assert_near(one, other)


@pytest.mark.filterwarnings('ignore:plain PyTorch')
@pytest.mark.parametrize('newer', [0, 1, 2, 10, 20], ids='capability + {}'.format)
def test_plain_pytorch_serves_devices_without_code(emulation, choose_device, newer, monkeypatch) -> None:
    """Code serves its own generation; what the library has for later ones is PTX from 10.0 on."""
    monkeypatch.setenv('SHARED_OPS_REQUIRE_KERNELS', '')
    capability = emulation.capability + newer
    served = newer < 10 or capability >= 100
    for older in (False, True):
        choose_device(emulation.capability - 10 if older else capability, 132)
        for operator in OPERATORS.values():
            drawn = draw(operator, (torch.float32, torch.float32))
            assert_all_near(run(emulation.operators, operator, *drawn), expect(operator, *drawn))
        assert (choose_device(emulation.capability, 132) > 0) == (served and not older)


def test_devices_without_code_are_an_error_where_kernels_are_required(emulation, choose_device, monkeypatch) -> None:
    monkeypatch.setenv('SHARED_OPS_REQUIRE_KERNELS', '1')
    warn_of_reference.cache_clear()
    choose_device(emulation.capability - 10, 132)
    for operator in OPERATORS.values():
        drawn = draw(operator, (torch.float32, torch.float32))
        with pytest.raises(RuntimeError):
            run(emulation.operators, operator, *drawn)


def test_views(kernels) -> None:
    """Arguments need be neither contiguous nor begin at a multiple of 16 bytes."""
    arguments, grad_output = draw(ATTENTION, (torch.float16, torch.float16), **sizes(2, 3, 16, 5, 3, (4, 6)))
    wanted = [tensor.double() for tensor in run(kernels, ATTENTION, arguments, grad_output)]

    def shifted(tensor: Tensor) -> Tensor:
        view = torch.cat([tensor.new_zeros(1), tensor.flatten()])[1:].reshape(tensor.shape)
        assert view.data_ptr() % 16 != 0
        return view

    arguments = ATTENTION.replaced(arguments, map(shifted, ATTENTION.leaves(arguments)))
    grad_output = shifted(grad_output)
    assert_all_near(run(kernels, ATTENTION, arguments, grad_output), wanted)
    arguments.value = arguments.value.transpose(1, 2).contiguous().transpose(1, 2)
    grad_output = grad_output.transpose(0, 1).contiguous().transpose(0, 1)
    assert_all_near(run(kernels, ATTENTION, arguments, grad_output), wanted)


@pytest.mark.parametrize('deterministic', [False, True], ids=['atomic', 'deterministic'])
@pytest.mark.parametrize('N, Lq', [(0, 5), (2, 0)])
def test_empty(kernels, N, Lq, deterministic) -> None:
    drawn = draw(ATTENTION, (torch.float16, torch.float32), **sizes(N, 3, 16, Lq, 3, (4, 6)))
    output, *gradients = run(kernels, ATTENTION, *drawn, deterministic)
    assert output.shape == (N, Lq, 48)
    assert all((gradient == 0).all() for gradient in gradients)


def test_too_many_levels(kernels) -> None:
    drawn = draw(ATTENTION, (torch.float32, torch.float32), **sizes(1, 1, 4, 1, 1, *[(1, 1)] * 65))
    with pytest.raises(RuntimeError, match='at most 64 levels, got 65'):
        run(kernels, ATTENTION, *drawn)
