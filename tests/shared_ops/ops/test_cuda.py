"""What only a CUDA device can show: the same numbers as the CPU, graphs, streams, determinism, sizes beyond 2^31."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from support.operators import (
    DTYPES,
    OPERATORS,
    Operator,
    assert_all_near,
    assert_near,
    compute_dtype,
    forward_and_gradients,
    some_gradient,
)

pytestmark = pytest.mark.needs_cuda

# many points fall onto few pixels, so that atomic additions meet
CROWDED = {
    'ms_deform_attn': dict(N=3, M=4, D=24, Lq=997, P=5, shapes=((7, 5), (1, 3))),
    'dcnv3': dict(N=3, H=31, W=33, G=4, D=24, kernel_size=(3, 5), stride=(1, 1)),
}


# In a process of its own: CUDA loads a kernel when it is first launched, here while a graph is being captured.
FIRST_CALL = """
import sys
import torch
from support.operators import OPERATORS, assert_all_near, forward_and_gradients, some_gradient

operator, differentiated = OPERATORS[sys.argv[1]], sys.argv[2] == 'with_gradients'
arguments = operator.make('cpu', torch.float32)
wanted = forward_and_gradients(operator, arguments)
arguments = operator.converted(arguments, 'cuda')
leaves = [leaf.requires_grad_(differentiated) for leaf in operator.leaves(arguments)]
grad_output = some_gradient(wanted[0]).cuda()
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    output = operator.function(**vars(arguments))
    gradients = torch.autograd.grad(output, leaves, grad_output) if differentiated else []
graph.replay()
assert_all_near([output, *gradients], wanted[: 1 + len(gradients)])
"""


@pytest.mark.parametrize('native', [False, True], ids=['computable_points', 'native_points'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('D', [1, 3, 8, 12, 16, 31, 32, 64, 128])
def test_agrees_with_the_cpu(D: int, dtype: torch.dtype, native: bool, operator: Operator) -> None:
    arguments = operator.make('cpu', dtype, D=D, points=dtype if native else compute_dtype(dtype))
    wanted = forward_and_gradients(operator, arguments)
    assert_all_near(forward_and_gradients(operator, operator.converted(arguments, 'cuda')), wanted, dtype)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16], ids=str)
def test_crowded_points(dtype: torch.dtype, operator: Operator) -> None:
    arguments = operator.make('cpu', dtype, **CROWDED[operator.name])
    wanted = forward_and_gradients(operator, operator.converted(arguments, torch.float64), operator.reference)
    got = forward_and_gradients(operator, operator.converted(arguments, 'cuda'))
    assert_all_near(got[:1], wanted[:1], dtype)
    # the gradient of the output is rounded to the type here
    for result, truth in zip(got[1:], wanted[1:]):
        assert (result.cpu().double() - truth).abs().max() <= 3e-2 * truth.abs().max()


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_deterministic_algorithms_give_the_same_bits(dtype: torch.dtype, operator: Operator) -> None:
    arguments = operator.make('cuda', dtype, **CROWDED[operator.name])
    usual = forward_and_gradients(operator, arguments)
    torch.use_deterministic_algorithms(True)
    try:
        first, *others = (forward_and_gradients(operator, arguments) for _ in range(4))
    finally:
        torch.use_deterministic_algorithms(False)
    for other in others:
        assert all(map(torch.equal, first, other))
    assert_all_near(first, usual)


def test_graph_capture(operator: Operator) -> None:
    """Forward and backward neither wait for the device nor use memory of their own."""
    arguments = operator.make('cuda', torch.float32, requires_grad=True)
    leaves = operator.leaves(arguments)

    def step() -> list[torch.Tensor]:
        output = operator.function(**vars(arguments))
        return [output, *torch.autograd.grad(output, leaves, some_gradient_of[0])]

    some_gradient_of = [some_gradient(operator.function(**vars(arguments)).detach())]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    fresh = operator.make('cuda', torch.float32)
    with torch.no_grad():
        for leaf, values in zip(leaves, operator.leaves(fresh)):
            leaf.copy_(values)
    graph.replay()
    wanted = forward_and_gradients(operator, fresh, grad_output=some_gradient_of[0])
    assert_all_near(captured, wanted)


@pytest.mark.parametrize('what', ['output', 'with_gradients'])
def test_the_very_first_call_may_be_captured(what: str, operator: Operator) -> None:
    path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get('PYTHONPATH', '')])
    command = [sys.executable, '-c', FIRST_CALL, operator.name, what]
    result = subprocess.run(command, env={**os.environ, 'PYTHONPATH': path}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_nothing_waits_for_the_device(operator: Operator) -> None:
    arguments = operator.make('cuda', torch.float32)
    gradient = some_gradient(operator.function(**vars(arguments)))
    torch.cuda.set_sync_debug_mode('error')
    try:
        forward_and_gradients(operator, arguments, grad_output=gradient)
    finally:
        torch.cuda.set_sync_debug_mode('default')


def test_runs_on_the_current_stream(operator: Operator) -> None:
    arguments = operator.make('cuda', torch.float32)
    wanted = operator.function(**vars(arguments))
    data = operator.leaves(arguments)[0]
    torch.cuda.synchronize()
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        torch.cuda._sleep(100_000_000)
        late = data * 2  # on the other stream this is not there yet
        output = operator.function(**(vars(arguments) | {operator.tensors[0]: late}))
    side.synchronize()
    assert_near(output, wanted * 2)


def test_more_than_two_to_the_31_elements() -> None:
    """The last image of a large batch is computed like the same image alone."""
    attention = OPERATORS['ms_deform_attn']
    arguments = attention.make('cuda', torch.float16, N=1, M=8, D=64, Lq=5, shapes=((1025, 1024),))
    data, where, weight = attention.leaves(arguments)
    wanted = attention.function(**vars(arguments))
    N = 2**31 // data.numel() + 1
    many = [leaf.expand(N, *leaf.shape[1:]).contiguous() for leaf in (data, where, weight)]
    assert many[0].numel() > 2**31
    output, *gradients = forward_and_gradients(attention, attention.replaced(arguments, many))
    assert torch.equal(output[-1:], wanted)
    assert torch.equal(output[:1], wanted)
    alone = forward_and_gradients(attention, arguments, grad_output=some_gradient(output)[-1:])
    for gradient, truth in zip(gradients, alone[1:]):
        assert_near(gradient[-1:], truth)
