"""Both modules under PyTorch's compiler, exporter and autocast."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import shared_ops
from support.operators import HALF

# Before (2.10 and 2.13 were tried), Inductor stops at any module with a convolution and a custom operator that share an
# input, where sizes are symbolic and something is saved for the backward: it cannot order symbolic strides.
INDUCTOR_TRAINS = tuple(map(int, torch.__version__.split('.')[:2])) >= (2, 15)


class Attention(nn.Module):
    """MSDeformAttn as an injector uses it: the layout follows from the size of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = shared_ops.MSDeformAttn(12, n_levels=2, n_heads=3, n_points=4)

    def forward(self, query: Tensor, reference_points: Tensor, value: Tensor, image: Tensor) -> Tensor:
        height, width = image.shape[1:]
        shapes = [(height * 2, width * 2), (height, width)]
        return self.attention(query, reference_points, value, shapes, [0, height * width * 4])


@dataclass(frozen=True)
class Model:
    """A module, and arguments for a batch of images of some size."""

    make: Callable[[], nn.Module]
    arguments: Callable[[int, int, int], tuple[Tensor, ...]]
    batched: tuple[bool, ...]


def attention_arguments(N: int, height: int, width: int) -> tuple[Tensor, ...]:
    Lq = height * width
    return torch.randn(N, Lq, 12), torch.rand(1, Lq, 1, 2), torch.randn(N, Lq * 5, 12), torch.empty(N, height, width)


MODELS = {
    'MSDeformAttn': Model(Attention, attention_arguments, (True, False, True, True)),
    'DCNv3': Model(
        lambda: shared_ops.DCNv3(12, group=3, dw_kernel_size=5, offset_scale=2.0, center_feature_scale=True),
        lambda N, height, width: (torch.randn(N, height, width, 12),),
        (True,),
    ),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Model:
    return MODELS[request.param]


def build(model: Model, device: str) -> nn.Module:
    """Return the module with parameters none of which is what it starts with."""
    module = model.make()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.to(device)


def draw(model: Model, *size: int, device: str) -> tuple[Tensor, ...]:
    return tuple(tensor.to(device) for tensor in model.arguments(*size))


def output_and_gradients(
    function: Callable[..., Tensor], module: nn.Module, tensors: tuple[Tensor, ...]
) -> list[Tensor]:
    leaf = tensors[0].detach().clone().requires_grad_()
    output = function(leaf, *tensors[1:])
    return [output.detach(), *torch.autograd.grad(output.square().sum(), [leaf, *module.parameters()])]


def output_alone(function: Callable[..., Tensor], module: nn.Module, tensors: tuple[Tensor, ...]) -> list[Tensor]:
    with torch.no_grad():
        return [function(*tensors)]


@pytest.mark.parametrize('backend', ['aot_eager', 'inductor'])
def test_one_compiled_graph_serves_every_size(backend: str, model: Model, device: str) -> None:
    """Compiled once, gradients too; PyTorch's integers stay symbolic down to the operator."""
    torch._dynamo.reset()
    module = build(model, device)
    compiled = torch.compile(module, fullgraph=True, dynamic=True, backend=backend)
    compute = output_and_gradients
    if backend == 'inductor' and model is MODELS['DCNv3'] and not INDUCTOR_TRAINS:
        compute = output_alone
    # no batch of 2: the compiler takes equal sizes to be one, and the 2 of (x, y) stays what it is
    for index, size in enumerate([(4, 3, 5), (3, 7, 6), (5, 8, 2)]):
        tensors = draw(model, *size, device=device)
        with torch._dynamo.config.patch(error_on_recompile=index > 0):
            got = compute(compiled, module, tensors)
        wanted = compute(module, module, tensors)
        for result, truth in zip(got, wanted):
            assert (result - truth).abs().max() <= 1e-5 * truth.abs().max()


def test_export(model: Model, device: str, tmp_path: Path) -> None:
    module = build(model, device)
    tensors = draw(model, 2, 3, 5, device=device)
    program = torch.export.export(module, tensors)
    assert any('shared_ops.' in str(node.target) for node in program.graph.nodes)
    torch.export.save(program, tmp_path / 'module.pt2')
    loaded = torch.export.load(tmp_path / 'module.pt2').module()
    torch.testing.assert_close(loaded(*tensors), module(*tensors))


@pytest.mark.parametrize('strict', [False, True], ids=['non_strict', 'strict'])
def test_export_for_any_batch(strict: bool, model: Model, device: str) -> None:
    module = build(model, device)
    batch = torch.export.Dim('N')
    shapes = tuple({0: batch} if batched else None for batched in model.batched)
    tensors = draw(model, 2, 3, 5, device=device)
    program = torch.export.export(module, tensors, dynamic_shapes=shapes, strict=strict)
    for N in (1, 4):
        tensors = draw(model, N, 3, 5, device=device)
        torch.testing.assert_close(program.module()(*tensors), module(*tensors))


def test_export_convolution_for_any_image(device: str) -> None:
    model = MODELS['DCNv3']
    module = build(model, device)
    shapes = ({0: torch.export.Dim('N'), 1: torch.export.Dim('H'), 2: torch.export.Dim('W')},)
    program = torch.export.export(module, draw(model, 2, 3, 5, device=device), dynamic_shapes=shapes)
    tensors = draw(model, 3, 8, 2, device=device)
    torch.testing.assert_close(program.module()(*tensors), module(*tensors))


@pytest.fixture
def layout() -> tuple[Tensor, ...]:
    return torch.tensor([(4, 7), (3, 2)]), torch.tensor([0, 28])


def attend(device: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    attention = build(MODELS['MSDeformAttn'], device).attention
    return attention, tuple(
        t.to(device) for t in (torch.randn(2, 5, 12), torch.rand(1, 5, 1, 2), torch.randn(2, 34, 12))
    )


def test_compile_with_a_layout_of_tensors(layout, device: str) -> None:
    """The graph reads the tensors when it runs, whatever they hold, and refuses what does not fit."""
    torch._dynamo.reset()
    attention, tensors = attend(device)
    compiled = torch.compile(attention, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(*tensors, *layout), attention(*tensors, *layout))
    other = torch.tensor([(2, 11), (1, 12)]), torch.tensor([0, 22])
    with torch._dynamo.config.patch(error_on_recompile=True):
        torch.testing.assert_close(compiled(*tensors, *other), attention(*tensors, *other))
        for wrong in [
            (torch.tensor([(4, 7), (3, 3)]), layout[1]),
            (torch.tensor([(-4, -7), (3, 2)]), layout[1]),
            (layout[0], torch.tensor([0, 29])),
            (layout[0], torch.tensor([-1, 28])),
        ]:
            with pytest.raises(RuntimeError):
                compiled(*tensors, *wrong)


@pytest.mark.parametrize('strict', [False, True], ids=['non_strict', 'strict'])
def test_export_with_a_layout_of_tensors(strict: bool, layout, device: str) -> None:
    attention, tensors = attend(device)
    program = torch.export.export(attention, (*tensors, *layout), strict=strict).module()
    torch.testing.assert_close(program(*tensors, *layout), attention(*tensors, *layout))
    other = torch.tensor([(2, 11), (1, 12)]), torch.tensor([0, 22])
    torch.testing.assert_close(program(*tensors, *other), attention(*tensors, *other))
    with pytest.raises(RuntimeError):
        program(*tensors, torch.tensor([(4, 7), (3, 3)]), layout[1])


@pytest.mark.parametrize('half', HALF, ids=str)
def test_module_under_autocast(half: torch.dtype, model: Model, device: str) -> None:
    module = build(model, device)
    tensors = draw(model, 2, 3, 5, device=device)
    wanted = module(*tensors)
    with torch.autocast(device, half):
        output = module(*tensors)
    assert output.dtype == half
    assert (output - wanted).abs().max() < 0.1 * wanted.abs().max()
    output.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in module.parameters())


def test_compile_under_autocast(model: Model, device: str) -> None:
    torch._dynamo.reset()
    module = build(model, device)
    tensors = draw(model, 2, 3, 5, device=device)
    compiled = torch.compile(module, fullgraph=True, backend='aot_eager')
    with torch.autocast(device, torch.bfloat16):
        torch.testing.assert_close(compiled(*tensors), module(*tensors))
