"""Both operators at sizes around what their loops take at a time: empty, one, prime, a power of two and one more."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from support.operators import OPERATORS, assert_operator_agrees_with_reference, forward_and_gradients

# the vector loops work on 16 (AVX-512), 8 (AVX2) or 1 channel at a time, the CUDA kernels on up to 8 per thread
CHANNELS = (1, 2, 3, 8, 12, 15, 16, 17, 31, 32, 33, 64, 128)
ATTENTION, CONVOLUTION = OPERATORS['ms_deform_attn'], OPERATORS['dcnv3']


sizes = st.integers(1, 6)


@settings(max_examples=60, derandomize=True)
@given(
    N=st.sampled_from([0, 1, 2, 3, 65]),
    M=st.integers(1, 4),
    D=st.sampled_from(CHANNELS),
    Lq=st.sampled_from([0, 1, 2, 5, 7]),
    P=st.integers(1, 5),
    shapes=st.lists(st.tuples(sizes, sizes), min_size=1, max_size=5).map(tuple),
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_attention_of_any_size(**sizes: Any) -> None:
    assert_operator_agrees_with_reference(ATTENTION, ATTENTION.make('cpu', **sizes))


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a convolution whose kernel fits at least once, sizes of every parity, borders beyond the kernel included."""
    pairs = {
        'kernel_size': draw(st.sampled_from([(1, 1), (3, 3), (5, 5), (3, 5), (2, 3), (4, 1), (1, 7)])),
        'stride': (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        'padding': (draw(st.integers(0, 4)), draw(st.integers(0, 4))),
        'dilation': (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
    }
    size = []
    for axis in (0, 1):
        extent = pairs['dilation'][axis] * (pairs['kernel_size'][axis] - 1) + 1
        least = max(1, extent - 2 * pairs['padding'][axis])
        size.append(least + draw(st.sampled_from([0, 1, 2, 4, 6])))
    return pairs | {'H': size[0], 'W': size[1]}


@settings(max_examples=100, derandomize=True)
@given(
    geometry=convolutions(),
    N=st.sampled_from([0, 1, 2, 5]),
    G=st.integers(1, 4),
    D=st.sampled_from(CHANNELS),
    offset_scale=st.sampled_from([1.0, 2.0, 0.5, -1.25]),
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_convolution_of_any_size(geometry: dict[str, Any], **sizes: Any) -> None:
    assert_operator_agrees_with_reference(CONVOLUTION, CONVOLUTION.make('cpu', **geometry, **sizes))


# points that belong to one result, around what a kernel may take at a time
MANY = (15, 16, 17, 31, 33, 127, 128, 129)


@pytest.mark.parametrize('points', MANY)
def test_attention_with_many_points(points: int, device: str) -> None:
    for levels, number in ((1, points), (3, -(-points // 3))):
        shapes = ((5, 7), (3, 2), (1, 4))[:levels]
        arguments = ATTENTION.make(device, N=2, M=1, D=9, Lq=3, P=number, shapes=shapes)
        assert_operator_agrees_with_reference(ATTENTION, arguments)


@pytest.mark.parametrize('points', MANY)
def test_convolution_with_many_points(points: int, device: str) -> None:
    rows = next(rows for rows in (8, 4, 3, 1) if points % rows == 0)
    kernel = (rows, points // rows)
    arguments = CONVOLUTION.make(device, N=1, H=7, W=5, G=2, D=9, kernel_size=kernel, padding=(rows, points // rows))
    assert_operator_agrees_with_reference(CONVOLUTION, arguments)


@pytest.mark.parametrize('count', [15, 16, 17, 255, 257])
def test_many_results(count: int, device: str) -> None:
    """Results that threads share out, around the sizes of their shares."""
    attention = ATTENTION.make(device, torch.float32, N=1, M=2, D=3, Lq=count, P=2)
    assert_operator_agrees_with_reference(ATTENTION, attention)
    row = dict(H=1, W=count, kernel_size=(1, 3), padding=(0, 1), stride=(1, 1), dilation=(1, 1))
    convolution = CONVOLUTION.make(device, torch.float32, N=1, G=2, D=3, **row)
    assert_operator_agrees_with_reference(CONVOLUTION, convolution)


@pytest.mark.parametrize('implementation', ['operator', 'reference'])
@pytest.mark.parametrize(
    ['name', 'sizes'],
    [('ms_deform_attn', {'N': 0}), ('ms_deform_attn', {'Lq': 0}), ('dcnv3', {'N': 0})],
    ids=str,
)
def test_empty(name: str, sizes: dict[str, int], implementation: str, device: str) -> None:
    operator = OPERATORS[name]
    arguments = operator.make(device, **sizes)
    output, *gradients = forward_and_gradients(operator, arguments, operator.implementations[implementation])
    assert output.numel() == 0
    for gradient, leaf in zip(gradients, operator.leaves(arguments)):
        assert gradient.shape == leaf.shape
        assert (gradient == 0).all()
