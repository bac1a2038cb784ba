"""What dcnv3 computes, by definition, and what its numbers mean: order of points, scale, borders, pairs."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import shared_ops
from support.operators import OPERATORS, assert_near, forward_and_gradients, make_dcnv3

OPERATOR = OPERATORS['dcnv3']
IMPLEMENTATIONS = OPERATOR.implementations
implementations = pytest.mark.parametrize('implementation', IMPLEMENTATIONS)


def by_definition(arguments: Any) -> Tensor:
    """Equation 2 of https://arxiv.org/abs/2211.05778, one scalar after another."""
    image, offset, mask = (tensor.detach().double().cpu().numpy() for tensor in OPERATOR.leaves(arguments))
    N, H, W, C = image.shape
    G, scale = arguments.groups, arguments.offset_scale
    kernel_height, kernel_width = arguments.kernel_size
    _, Ho, Wo, _ = offset.shape
    # in memory, the points of a kernel stand column after column
    offset = offset.reshape(N, Ho, Wo, G, kernel_width, kernel_height, 2)
    mask = mask.reshape(N, Ho, Wo, G, kernel_width, kernel_height)
    centre = [d * (k - 1) // 2 for d, k in zip(arguments.dilation, arguments.kernel_size)]
    output = np.zeros((N, Ho, Wo, C))
    for n, row, column, c, i, j in np.ndindex(N, Ho, Wo, C, kernel_width, kernel_height):
        g = c // (C // G)
        move_x, move_y = offset[n, row, column, g, i, j]
        middle_x = column * arguments.stride[1] - arguments.padding[1] + centre[1]
        middle_y = row * arguments.stride[0] - arguments.padding[0] + centre[0]
        x = middle_x + (i * arguments.dilation[1] - centre[1] + move_x) * scale
        y = middle_y + (j * arguments.dilation[0] - centre[0] + move_y) * scale
        for v in (math.floor(y), math.floor(y) + 1):
            for u in (math.floor(x), math.floor(x) + 1):
                if 0 <= v < H and 0 <= u < W:
                    share = (1 - abs(y - v)) * (1 - abs(x - u))
                    output[n, row, column, c] += mask[n, row, column, g, i, j] * share * image[n, v, u, c]
    return torch.from_numpy(output)


@implementations
@pytest.mark.parametrize(
    'sizes',
    [
        {},
        {'N': 1, 'G': 1, 'D': 33, 'kernel_size': (1, 1), 'stride': (1, 3), 'padding': (0, 1)},
        {'N': 33, 'G': 2, 'D': 3, 'H': 3, 'W': 4, 'dilation': (1, 1)},
        {'G': 4, 'D': 1, 'kernel_size': (5, 3), 'padding': (4, 1), 'offset_scale': 0.25},
        {'H': 1, 'W': 1, 'kernel_size': (3, 3), 'padding': (2, 1), 'dilation': (1, 1)},
        {'kernel_size': (4, 2), 'dilation': (1, 3), 'offset_scale': -2.0},
    ],
    ids=['all_different', 'one_point', 'batch_33', 'one_channel', 'one_pixel', 'even_kernel'],
)
def test_definition(implementation: str, sizes: dict[str, Any], device: str) -> None:
    arguments = make_dcnv3(device, **sizes)
    assert_near(IMPLEMENTATIONS[implementation](**vars(arguments)).cpu(), by_definition(arguments))


@implementations
def test_without_offset_it_is_a_convolution(implementation: str, device: str) -> None:
    """With one channel per group and no offset, the masks are the weights of a depthwise convolution."""
    pairs = dict(kernel_size=(3, 5), stride=(2, 1), padding=(2, 3), dilation=(1, 2))
    arguments = make_dcnv3(device, H=10, W=11, G=4, D=1, offset_scale=1.0, **pairs)
    arguments.offset.zero_()
    weight = torch.randn(4, 5, 3, dtype=torch.float64, device=device)  # [G, kw, kh]
    arguments.mask = weight.flatten().expand_as(arguments.mask)
    output = IMPLEMENTATIONS[implementation](**vars(arguments))
    wanted = torch.nn.functional.conv2d(
        arguments.input.permute(0, 3, 1, 2),
        weight.transpose(1, 2)[:, None],
        stride=(2, 1), padding=(2, 3), dilation=(1, 2), groups=4,
    )  # fmt: skip
    assert_near(output, wanted.permute(0, 2, 3, 1))


@implementations
@pytest.mark.parametrize('axis', ['x', 'y'])
def test_offsets_are_pixels_times_the_scale(implementation: str, axis: str, device: str) -> None:
    """Half a pixel more, scaled by two, reads the pixel that lies one further right, or one below."""
    function = IMPLEMENTATIONS[implementation]
    pairs = dict(kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1))
    arguments = make_dcnv3(device, offset_scale=2.0, **pairs)
    rolled = OPERATOR.converted(arguments, torch.float64)
    points = arguments.offset.view(*arguments.offset.shape[:3], -1, 2)
    points[..., 'xy'.index(axis)] += 0.5
    # what leaves the map on one side comes back on the other: both sides are zeros
    for image in (arguments.input, rolled.input):
        image[:, [0, -1]] = 0
        image[:, :, [0, -1]] = 0
    rolled.input = rolled.input.roll(-1, {'x': 2, 'y': 1}[axis])
    assert_near(function(**vars(arguments)), function(**vars(rolled)))


@implementations
def test_points_exactly_one_pixel_away_have_no_gradient(implementation: str, device: str) -> None:
    """As in the kernels of the checkpoints; grid_sample has one, and zero offsets lie exactly there."""
    pairs = dict(kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), dilation=(1, 1))
    arguments = make_dcnv3(device, H=5, W=6, offset_scale=1.0, **pairs)
    arguments.offset.zero_()
    _, _, grad_offset, grad_mask = forward_and_gradients(OPERATOR, arguments, IMPLEMENTATIONS[implementation])
    points = grad_offset.reshape(2, 5, 6, 3, 3, 3, 2)
    assert (points[:, :, 0, :, 0] == 0).all()
    assert (points[:, :, -1, :, -1] == 0).all()
    assert (points[:, 0, :, :, :, 0] == 0).all()
    assert (points[:, -1, :, :, :, -1] == 0).all()
    assert (points[:, 1:-1, 1:-1] != 0).all()
    assert (grad_mask.reshape(2, 5, 6, 3, 3, 3)[:, :, 0, :, 0] == 0).all()


@implementations
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_points_on_pixels_are_differentiated_to_the_right(implementation: str, dtype: torch.dtype, device: str) -> None:
    """At a pixel the slope jumps. The kernels take the one towards the next pixel, whatever the size of the map."""
    pairs = dict(kernel_size=(1, 1), stride=(1, 1), padding=(0, 0), dilation=(1, 1))
    for size in (3, 5, 6, 7, 11, 13, 100):
        arguments = make_dcnv3(device, dtype, N=1, H=1, W=size, G=1, D=1, offset_scale=1.0, **pairs)
        arguments.offset.zero_()
        arguments.mask.fill_(1)
        image = torch.arange(size) ** 2 % 37
        arguments.input.copy_(image.reshape(1, 1, size, 1))
        grad_output = torch.ones(1, 1, size, 1, device=device).to(dtype)
        function = IMPLEMENTATIONS[implementation]
        _, _, grad_offset, _ = forward_and_gradients(OPERATOR, arguments, function, grad_output)
        slope = grad_offset.reshape(size, 2)[:, 0].double().cpu()
        assert torch.equal(slope, torch.diff(image, append=torch.zeros(1)).double())


def test_integers_stand_for_pairs(device: str) -> None:
    pairs = dict(kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), dilation=(2, 2))
    arguments = vars(make_dcnv3(device, **pairs))
    wanted = shared_ops.dcnv3(**arguments)
    integers = arguments | dict(kernel_size=3, stride=2, padding=1, dilation=2)
    assert torch.equal(shared_ops.dcnv3(**integers), wanted)
    others = arguments | dict(
        kernel_size=np.array([3, 3]), stride=[2, 2], padding=np.int64(1), offset_scale=np.float64(1.5)
    )
    assert torch.equal(shared_ops.dcnv3(**others), wanted)


def test_defaults() -> None:
    arguments = make_dcnv3(G=1, kernel_size=(2, 3), stride=(1, 1), padding=(0, 0), dilation=(1, 1), offset_scale=1.0)
    tensors = OPERATOR.leaves(arguments)
    assert torch.equal(shared_ops.dcnv3(*tensors, (2, 3)), shared_ops.dcnv3(**vars(arguments)))


def test_groups_do_not_touch_each_other(device: str) -> None:
    arguments = make_dcnv3(device)
    wanted = shared_ops.dcnv3(**vars(arguments))
    arguments.input[..., 5:10] = math.nan
    for function in IMPLEMENTATIONS.values():
        output = function(**vars(arguments))
        assert_near(output[..., :5], wanted[..., :5])
        assert_near(output[..., 10:], wanted[..., 10:])
