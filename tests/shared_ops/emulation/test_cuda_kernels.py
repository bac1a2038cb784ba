"""The numbers of the CUDA kernels, run on the CPU, against plain PyTorch in float64."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from shared_ops import reference

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


def draw_attention(
    types: tuple[torch.dtype, torch.dtype], N: int, M: int, D: int, Lq: int, P: int, shapes: list[tuple[int, int]]
) -> SimpleNamespace:
    """Draw arguments of the attention and of its backward; many points lie outside of the maps."""
    value_type, point_type = types
    L, S = len(shapes), sum(h * w for h, w in shapes)
    weights = torch.randn(N, Lq, M, L * P, dtype=torch.float64).softmax(-1).reshape(N, Lq, M, L, P)
    return SimpleNamespace(
        value=torch.randn(N, S, M, D, dtype=torch.float64).to(value_type),
        shapes=shapes,
        starts=[sum(h * w for h, w in shapes[:level]) for level in range(L)],
        locations=(torch.rand(N, Lq, M, L, P, 2, dtype=torch.float64) * 1.6 - 0.3).to(point_type),
        weights=weights.to(point_type),
        grad_output=torch.randn(N, Lq, M * D, dtype=torch.float64).to(value_type),
    )


def run_attention(kernels: object, a: SimpleNamespace, deterministic: bool = False) -> list[Tensor]:
    flat = [size for shape in a.shapes for size in shape]
    arguments = (a.value, flat, a.starts, a.locations, a.weights)
    return [
        kernels.ms_deform_attn(*arguments),
        *kernels.ms_deform_attn_backward(a.grad_output, *arguments, deterministic),
    ]


def expect_attention(a: SimpleNamespace) -> list[Tensor]:
    arguments = (a.value.double(), a.shapes, a.starts, a.locations.double(), a.weights.double())
    return [
        reference.ms_deform_attn(*arguments),
        *reference.ms_deform_attn_backward(a.grad_output.double(), *arguments),
    ]


def assert_all_near(got: list[Tensor], wanted: list[Tensor]) -> None:
    for one, other in zip(got, wanted, strict=True):
        assert_near(one, other)


def sizes(N: int, M: int, D: int, Lq: int, P: int, *shapes: tuple[int, int]) -> dict[str, object]:
    return {'N': N, 'M': M, 'D': D, 'Lq': Lq, 'P': P, 'shapes': list(shapes)}


ATTENTION = {
    'one level': sizes(2, 3, 32, 5, 4, (6, 8)),
    'three levels': sizes(2, 3, 32, 5, 4, (6, 8), (3, 4), (1, 2)),
    'four levels': sizes(1, 2, 32, 7, 4, (6, 8), (3, 4), (1, 2), (5, 1)),
    'narrow heads': sizes(3, 2, 16, 5, 3, (6, 8), (4, 3)),
    'wide heads': sizes(2, 3, 64, 5, 4, (6, 8), (1, 9)),
    'one vector, many points': sizes(2, 3, 8, 5, 37, (6, 8)),
    'lanes left over': sizes(2, 3, 24, 5, 5, (6, 8), (2, 3)),
    'several rounds of channels': sizes(2, 1, 264, 3, 2, (4, 5)),
    'one channel': sizes(3, 2, 1, 5, 3, (6, 8)),
    'odd channels': sizes(2, 3, 31, 5, 3, (6, 8), (2, 1)),
    'more odd channels than lanes': sizes(2, 1, 35, 3, 2, (4, 5)),
}


@pytest.mark.parametrize('deterministic', [False, True], ids=['atomic', 'deterministic'])
@pytest.mark.parametrize('types', TYPES, ids=IDS)
@pytest.mark.parametrize('name', ATTENTION)
def test_attention(kernels, name, types, deterministic) -> None:
    drawn = draw_attention(types, **ATTENTION[name])
    assert_all_near(run_attention(kernels, drawn, deterministic), expect_attention(drawn))


def window_as_attention(
    input: Tensor, offset: Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int],
    dilation: tuple[int, int], groups: int, scale: float,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return value and locations with which attention to one level does what DCNv3 does, and weights' shape."""
    N, H, W, C = input.shape
    _, rows, columns, _ = offset.shape
    taps_x, taps_y = torch.meshgrid(torch.arange(kernel[1]), torch.arange(kernel[0]), indexing='ij')
    offsets = offset.reshape(N, rows * columns, groups, kernel[0] * kernel[1], 2)
    positions = []
    for axis, taps, outputs in (
        (1, taps_x, torch.arange(columns).repeat(rows)), (0, taps_y, torch.arange(rows).repeat_interleave(columns))
    ):  # fmt: skip
        centre = dilation[axis] * (kernel[axis] - 1) // 2
        begin = (outputs * stride[axis] - padding[axis] + centre).double() - centre * scale
        moved = taps.flatten() * dilation[axis] + offsets[..., 1 - axis]
        positions.append(begin[:, None, None] + moved * scale)
    size = torch.tensor([W, H], dtype=torch.float64)
    locations = (torch.stack(positions, -1) + 0.5) / size  # [N, Q, G, K, 2]
    return input.reshape(N, H * W, groups, C // groups), locations.unsqueeze(3)


def draw_window(
    types: tuple[torch.dtype, torch.dtype], N: int, G: int, D: int, size: tuple[int, int], kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1), padding: tuple[int, int] = (0, 0), dilation: tuple[int, int] = (1, 1),
    scale: float = 1.0,
) -> SimpleNamespace:  # fmt: skip
    """Draw arguments of DCNv3 and of its backward."""
    value_type, point_type = types
    rows, columns = ((size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1 for i in (0, 1))
    K = kernel[0] * kernel[1]
    mask = torch.randn(N, rows, columns, G, K, dtype=torch.float64).softmax(-1)
    return SimpleNamespace(
        input=torch.randn(N, *size, G * D, dtype=torch.float64).to(value_type),
        offset=(torch.randn(N, rows, columns, G * K * 2, dtype=torch.float64)).to(point_type),
        mask=mask.reshape(N, rows, columns, G * K).to(point_type),
        window=(kernel, stride, padding, dilation, G, scale),
        grad_output=torch.randn(N, rows, columns, G * D, dtype=torch.float64).to(value_type),
    )


def run_window(kernels: object, c: SimpleNamespace, deterministic: bool = False) -> list[Tensor]:
    arguments = (c.input, c.offset, c.mask, *c.window)
    return [kernels.dcnv3(*arguments), *kernels.dcnv3_backward(c.grad_output, *arguments, deterministic)]


def expect_window(c: SimpleNamespace) -> list[Tensor]:
    N, H, W, C = c.input.shape
    G, scale = c.window[-2:]
    value, locations = window_as_attention(c.input.double(), c.offset.double(), *c.window)
    weights = c.mask.double().reshape(N, -1, G, 1, math.prod(c.window[0]))
    grad = c.grad_output.double().reshape(N, -1, C)
    arguments = (value, [(H, W)], [0], locations, weights)
    grad_value, grad_locations, grad_weights = reference.ms_deform_attn_backward(grad, *arguments)
    grad_offset = grad_locations * scale / torch.tensor([W, H], dtype=torch.float64)
    return [
        reference.ms_deform_attn(*arguments).reshape(c.grad_output.shape),
        grad_value.reshape(c.input.shape),
        grad_offset.reshape(c.offset.shape),
        grad_weights.reshape(c.mask.shape),
    ]


WINDOWS = {
    '3x3': {'N': 2, 'G': 3, 'D': 16, 'size': (4, 5), 'kernel': (3, 3), 'padding': (1, 1)},
    '3x3 wide': {'N': 1, 'G': 2, 'D': 32, 'size': (5, 4), 'kernel': (3, 3), 'padding': (1, 1), 'scale': 2.0},
    '5x5': {'N': 2, 'G': 1, 'D': 16, 'size': (3, 4), 'kernel': (5, 5), 'padding': (2, 2)},
    '1x1': {'N': 3, 'G': 2, 'D': 16, 'size': (2, 3), 'kernel': (1, 1)},
    'anisotropic': {
        'N': 2, 'G': 3, 'D': 12, 'size': (7, 9), 'kernel': (3, 2), 'stride': (2, 1), 'padding': (1, 2),
        'dilation': (1, 3), 'scale': 0.7,
    },
    'nine taps in a row': {'N': 1, 'G': 2, 'D': 16, 'size': (3, 11), 'kernel': (1, 9), 'padding': (0, 4)},
}  # fmt: skip


@pytest.mark.parametrize('deterministic', [False, True], ids=['atomic', 'deterministic'])
@pytest.mark.parametrize('types', TYPES, ids=IDS)
@pytest.mark.parametrize('name', WINDOWS)
def test_window(kernels, name, types, deterministic) -> None:
    drawn = draw_window(types, **WINDOWS[name])
    assert_all_near(run_window(kernels, drawn, deterministic), expect_window(drawn))


@pytest.mark.parametrize('deterministic', [False, True], ids=['atomic', 'deterministic'])
@pytest.mark.parametrize('D', [16, 5])
def test_points_that_do_not_count(kernels, D, deterministic) -> None:
    """They read nothing, so not even an infinite value shows, and have no gradient."""
    drawn = draw_attention((torch.float32, torch.float32), N=2, M=3, D=D, Lq=5, P=3, shapes=[(4, 6), (2, 1)])
    far = torch.tensor([math.nan, math.inf, -math.inf, 1e30, -1e30, 3e9, -0.5])
    drawn.locations[..., 0] = far[torch.arange(drawn.weights.numel()) % len(far)].reshape(drawn.weights.shape)
    drawn.value.fill_(math.inf)
    for got in run_attention(kernels, drawn, deterministic):
        assert (got == 0).all()


@pytest.mark.parametrize('deterministic', [False, True], ids=['atomic', 'deterministic'])
def test_infinite_gradient_reaches_its_pixels_alone(kernels, deterministic) -> None:
    drawn = draw_attention((torch.float32, torch.float32), N=1, M=2, D=8, Lq=3, P=1, shapes=[(3, 140)])
    drawn.locations.fill_(0.5)
    drawn.locations[0, 1, 1] = torch.tensor([100.75 / 140, 1.25 / 3])
    drawn.grad_output[0, 1, 8 + 3] = math.inf
    grad_value = run_attention(kernels, drawn, deterministic)[1]
    infinite = grad_value.isinf().nonzero().tolist()
    assert infinite == [[0, pixel, 1, 3] for pixel in (100, 101, 240, 241)]
    assert not grad_value.isnan().any()


@pytest.mark.parametrize('N, shape, M', [(3, (128, 128), 4), (1, (256, 256), 3)], ids=['images', 'heads'])
def test_half_precision_in_shares(kernels, N, shape, M) -> None:
    """The float32 sums of these take more than kSmallSums, so images, or heads, are worked on in turn."""
    drawn = draw_attention((torch.bfloat16, torch.float32), N=N, M=M, D=16, Lq=7, P=3, shapes=[shape])
    assert_all_near(run_attention(kernels, drawn), expect_attention(drawn))


def test_views(kernels) -> None:
    """Arguments need be neither contiguous nor begin at a multiple of 16 bytes."""
    drawn = draw_attention((torch.float16, torch.float16), N=2, M=3, D=16, Lq=5, P=3, shapes=[(4, 6)])
    wanted = run_attention(kernels, drawn)
    for name in ('value', 'locations', 'weights', 'grad_output'):
        tensor = getattr(drawn, name)
        shifted = torch.cat([tensor.new_zeros(1), tensor.flatten()])[1:].reshape(tensor.shape)
        assert shifted.data_ptr() % 16 != 0
        setattr(drawn, name, shifted)
    assert_all_near(run_attention(kernels, drawn), [tensor.double() for tensor in wanted])
    drawn.value = drawn.value.transpose(1, 2).contiguous().transpose(1, 2)
    drawn.grad_output = drawn.grad_output.transpose(0, 1).contiguous().transpose(0, 1)
    assert_all_near(run_attention(kernels, drawn), [tensor.double() for tensor in wanted])


@pytest.mark.parametrize('deterministic', [False, True], ids=['atomic', 'deterministic'])
@pytest.mark.parametrize('N, Lq', [(0, 5), (2, 0)])
def test_empty(kernels, N, Lq, deterministic) -> None:
    drawn = draw_attention((torch.float16, torch.float32), N=N, M=3, D=16, Lq=Lq, P=3, shapes=[(4, 6)])
    output, *gradients = run_attention(kernels, drawn, deterministic)
    assert output.shape == (N, Lq, 48)
    assert all((gradient == 0).all() for gradient in gradients)


def test_too_many_levels(kernels) -> None:
    drawn = draw_attention((torch.float32, torch.float32), N=1, M=1, D=4, Lq=1, P=1, shapes=[(1, 1)] * 65)
    with pytest.raises(RuntimeError, match='at most 64 levels, got 65'):
        run_attention(kernels, drawn)
