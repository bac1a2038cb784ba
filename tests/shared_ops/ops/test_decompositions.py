"""Exported programs without our operators: the same numbers from PyTorch's own, and from ONNX Runtime."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

import shared_ops
from shared_ops._library import SCHEMAS
from support.operators import MASKS, OPERATORS, Operator, assert_all_near, some_gradient


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = shared_ops.MSDeformAttn(12, n_levels=2, n_heads=3, n_points=5)

    def forward(self, query: Tensor, reference_points: Tensor, value: Tensor) -> Tensor:
        return self.attention(query, reference_points, value, [(4, 7), (3, 2)], [0, 28])


def attention_arguments(N: int, Lq: int) -> tuple[Tensor, ...]:
    return torch.randn(N, Lq, 12), torch.rand(1, Lq, 2, 2) * 1.4 - 0.2, torch.randn(N, 34, 12)


def convolution_arguments(N: int, height: int, width: int) -> tuple[Tensor, ...]:
    return (torch.randn(N, height, width, 12),)


BATCH = {0: Dim.DYNAMIC}
# name: (module, its arguments, sizes to export with, which of them stay open, other sizes)
PROGRAMS = {
    'MSDeformAttn': (Attention, attention_arguments, (2, 5), None, []),
    'MSDeformAttn, any batch and queries': (
        Attention,
        attention_arguments,
        (2, 5),
        ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {1: Dim.DYNAMIC}, BATCH),
        [(3, 6), (1, 11)],
    ),
    'DCNv3': (
        lambda: shared_ops.DCNv3(12, group=3, kernel_size=5, pad=2, norm_layer='BN'),
        convolution_arguments,
        (2, 7, 9),
        None,
        [],
    ),
    'DCNv3, any batch': (
        lambda: shared_ops.DCNv3(12, group=3, offset_scale=2.0, center_feature_scale=True),
        convolution_arguments,
        (2, 7, 9),
        (BATCH,),
        [(3, 7, 9)],
    ),
    'DCNv3, any image': (
        lambda: shared_ops.DCNv3(12, group=3, dw_kernel_size=5, offset_scale=2.0, center_feature_scale=True),
        convolution_arguments,
        (2, 7, 9),
        ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC, 2: Dim.DYNAMIC},),
        [(1, 16, 5), (3, 4, 23)],
    ),
}


@pytest.fixture(params=PROGRAMS)
def decomposed(request: pytest.FixtureRequest) -> tuple[ExportedProgram, nn.Module, list[tuple[Tensor, ...]]]:
    """Return a program, the module it comes from, and arguments for both."""
    make, draw, sizes, open_sizes, others = PROGRAMS[request.param]
    module = make().eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    program = torch.export.export(module, draw(*sizes), dynamic_shapes=open_sizes)
    assert operators_of(program) & {'shared_ops'}
    program = program.run_decompositions(shared_ops.decompositions())
    return program, module, [draw(*numbers) for numbers in (sizes, *others)]


def operators_of(program: ExportedProgram) -> set[str]:
    """Return the namespaces of the operators in a program."""
    return {node.target.namespace for node in program.graph.nodes if isinstance(node.target, torch._ops.OpOverload)}


def test_every_operator_has_one() -> None:
    assert {overload._schema.name for overload in shared_ops.decompositions()} == {f'shared_ops::{n}' for n in SCHEMAS}


def test_only_operators_of_pytorch_are_left(decomposed) -> None:
    program, module, arguments = decomposed
    assert operators_of(program) == {'aten'}
    for tensors in arguments:
        torch.testing.assert_close(program.module()(*tensors), module(*tensors), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('deterministic', [False, True])
@pytest.mark.parametrize('output_mask', MASKS, ids=str)
@pytest.mark.parametrize('name', OPERATORS)
def test_backward(name: str, output_mask: list[bool], deterministic: bool) -> None:
    """For graphs that hold a training step."""
    operator: Operator = OPERATORS[name]
    arguments = operator.flat(operator.make())
    gradient = some_gradient(operator.overload(*arguments))
    function = shared_ops.decompositions()[operator.backward_overload]
    arguments = (gradient, *arguments, output_mask, deterministic)
    assert_all_near(function(*arguments), operator.backward_overload(*arguments))


@pytest.mark.needs_onnx
def test_onnx_runtime_computes_the_same(decomposed, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    program, module, arguments = decomposed
    converted = torch.onnx.export(program, (), dynamo=True, verbose=False)
    converted.save(tmp_path / 'module.onnx')
    model = onnx.load(tmp_path / 'module.onnx')
    assert {node.domain for node in model.graph.node} == {''}
    assert 'GridSample' in {node.op_type for node in model.graph.node}
    session = onnxruntime.InferenceSession(tmp_path / 'module.onnx', providers=['CPUExecutionProvider'])
    names = [argument.name for argument in session.get_inputs()]
    for tensors in arguments:
        (output,) = session.run(None, {name: tensor.numpy() for name, tensor in zip(names, tensors)})
        torch.testing.assert_close(torch.from_numpy(output), module(*tensors).detach(), rtol=1e-4, atol=1e-5)
