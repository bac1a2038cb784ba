"""The sizes of levels as a tensor: filled once for a layout, and never where that would be wrong."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from shared_ops._sampling import level_sizes

SHAPES = [(4, 7), (3, 2), (1, 5)]
WANTED = [[[7, 4]], [[2, 3]], [[5, 1]]]


class Calls(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_one_layout_is_filled_once(device: str) -> None:
    like = torch.rand(2, device=device)
    assert level_sizes(SHAPES, like).tolist() == WANTED
    with Calls() as calls:
        again = level_sizes(list(SHAPES), like)
    assert calls.names == []
    assert (again.dtype, again.device) == (like.dtype, like.device)
    other = level_sizes(SHAPES[1:], like.double())
    assert other.tolist() == WANTED[1:] and other.dtype == torch.float64


def test_what_inference_has_left_serves_training(device: str) -> None:
    shapes = [(11, 13)]
    with torch.inference_mode():
        level_sizes(shapes, torch.rand(2, device=device))
    offsets = torch.rand(3, 1, 1, 2, device=device, requires_grad=True)
    (offsets / level_sizes(shapes, offsets)).sum().backward()
    torch.testing.assert_close(offsets.grad, (1 / torch.tensor([13.0, 11.0], device=device)).expand_as(offsets))


def test_a_tracer_keeps_nothing() -> None:
    """Neither does it leave a tensor without numbers, nor does a graph hold one of ours."""
    shapes = [(17, 19)]
    with torch._subclasses.FakeTensorMode():
        assert isinstance(level_sizes(shapes, torch.rand(2)), torch._subclasses.FakeTensor)
    assert type(level_sizes(shapes, torch.rand(2))) is torch.Tensor
    with torch.device('meta'):
        assert level_sizes(shapes, torch.rand(2)).is_meta
    assert level_sizes(shapes, torch.rand(2)).tolist() == [[[19, 17]]]


@pytest.mark.needs_cuda
def test_every_stream_fills_its_own() -> None:
    """A stream that another one's fill is late for."""
    shapes, like = [(23, 29)], torch.rand(2, device='cuda')
    first, second = torch.cuda.Stream(), torch.cuda.Stream()
    with torch.cuda.stream(first):
        torch.cuda._sleep(200_000_000)
        level_sizes(shapes, like)
    with torch.cuda.stream(second):
        assert level_sizes(shapes, like).tolist() == [[[29, 23]]]


@pytest.mark.needs_cuda
def test_a_graph_fills_its_own() -> None:
    """Nothing that only a replay fills is left for others, and the graph reads nothing that others may give up."""
    shapes, like = [(31, 37)], torch.rand(2, device='cuda')
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = level_sizes(shapes, like)
    usual = level_sizes(shapes, like)
    assert usual.tolist() == [[[37, 31]]]
    graph.replay()
    assert captured.tolist() == [[[37, 31]]]
    assert captured.data_ptr() != usual.data_ptr()
