"""ms_deform_attn as PyTorch's subsystems see it: schema, fake tensors, autograd, compiler, export, autocast."""

import pytest
import torch
from torch import nn

import shared_ops
from shared_ops._library import SCHEMAS

OPERATORS = torch.ops.shared_ops
DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def flat(arguments) -> tuple:
    """Return what the operator takes: spatial_shapes as one list."""
    sizes = [size for shape in arguments.spatial_shapes for size in shape]
    rest = (arguments.level_start_index, arguments.sampling_locations, arguments.attention_weights)
    return arguments.value, sizes, *rest


def layout(height: int, width: int) -> dict[str, list]:
    shapes = [(height * 2, width * 2), (height, width)]
    return {'spatial_shapes': shapes, 'level_start_index': [0, height * width * 4]}


@pytest.mark.parametrize('name', SCHEMAS)
def test_both_schemas_are_one(name: str) -> None:
    """The C++ schema of an installation with kernels, and the Python one of those without."""
    expected = torch._C.parse_schema(f'shared_ops::{name}{SCHEMAS[name]}')
    assert str(getattr(OPERATORS, name).default._schema) == str(expected)


@pytest.mark.parametrize('requires_grad', [False, True])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_opcheck(dtype: torch.dtype, requires_grad: bool, device: str, inputs) -> None:
    arguments = inputs(device, dtype, requires_grad=requires_grad)
    tolerance = {} if dtype in (torch.float64, torch.float32) else {'rtol': 2e-2, 'atol': 2e-2}
    torch.library.opcheck(OPERATORS.ms_deform_attn.default, flat(arguments), **tolerance)


def test_opcheck_of_the_backward(device: str, inputs) -> None:
    grad_output = torch.randn(2, 7, 15, dtype=torch.float64, device=device)
    operator = OPERATORS._ms_deform_attn_backward.default
    torch.library.opcheck(operator, (grad_output, *flat(inputs(device))))


def test_there_is_an_implementation_for_every_device() -> None:
    """Plain PyTorch serves where no kernel is loaded; chosen by the dispatcher."""
    for name in SCHEMAS:
        for key in ('CPU', 'CUDA', 'MPS', 'XPU'):
            assert torch._C._dispatch_has_computed_kernel_for_dispatch_key(f'shared_ops::{name}', key)


@pytest.mark.needs_kernels
def test_kernels_are_what_runs() -> None:
    for name in SCHEMAS:
        assert torch._C._dispatch_has_kernel_for_dispatch_key(f'shared_ops::{name}', 'CPU')


def test_direct_calls_are_kept_inside_of_the_tensors(inputs) -> None:
    """Whoever calls the operator past the public function gets an error, not another's memory."""
    value, sizes, starts, locations, weights = flat(inputs())
    if not shared_ops.kernels_available('cpu'):
        return  # plain PyTorch checks every access itself
    for wrong in [
        (value, [60, 80, 1, 9], starts, locations, weights),
        (value, sizes, [0, 49], locations, weights),
        (value, sizes, [-1, 48], locations, weights),
        (value, sizes, [0], locations, weights),
        (value, [1 << 32, 1 << 32, 1, 9], starts, locations, weights),
        (value[:1], sizes, starts, locations, weights),
        (value, sizes, starts, locations[:, :, :, :1], weights),
        (value, sizes, starts, locations, weights[..., :3]),
        (value, sizes, starts, locations.float(), weights),
        (value.int(), sizes, starts, locations.float(), weights.float()),
    ]:
        with pytest.raises(RuntimeError, match='ms_deform_attn'):
            OPERATORS.ms_deform_attn(*wrong)
    with pytest.raises(RuntimeError, match='gradient'):
        OPERATORS._ms_deform_attn_backward(value, value, sizes, starts, locations, weights)


def test_compile_with_gradient(device: str, inputs) -> None:
    arguments = inputs(device, torch.float32, requires_grad=True)
    compiled = torch.compile(shared_ops.ms_deform_attn, fullgraph=True, backend='aot_eager')
    results = []
    for function in (compiled, shared_ops.ms_deform_attn):
        output = function(**vars(arguments))
        leaves = [arguments.value, arguments.sampling_locations, arguments.attention_weights]
        results.append([output, *torch.autograd.grad(output.square().sum(), leaves)])
    for got, wanted in zip(*results):
        torch.testing.assert_close(got, wanted)


def module_inputs(N: int, height: int, width: int, device: str = 'cpu') -> dict:
    Lq = height * width
    return {
        'query': torch.randn(N, Lq, 12, device=device),
        'reference_points': torch.rand(1, Lq, 1, 2, device=device),
        'value': torch.randn(N, Lq * 5, 12, device=device),
        **layout(height, width),
    }


def make_module(device: str = 'cpu') -> nn.Module:
    module = shared_ops.MSDeformAttn(12, n_levels=2, n_heads=3, n_points=4)
    nn.init.normal_(module.sampling_offsets.weight)
    return module.to(device)


def test_compile_module_for_any_size_of_image(device: str) -> None:
    """One graph, compiled once, serves every size; PyTorch's integers stay symbolic down to the operator."""
    torch._dynamo.reset()
    module = make_module(device)

    def step(query, reference_points, value, height: int, width: int):
        return module(query, reference_points, value, **layout(height, width))

    compiled = torch.compile(step, fullgraph=True, dynamic=True, backend='aot_eager')
    # no batch of 2: the compiler takes equal sizes to be one, and the 2 of (x, y) stays what it is
    for index, (N, height, width) in enumerate([(4, 3, 5), (3, 7, 6), (5, 8, 2)]):
        arguments = module_inputs(N, height, width, device)
        tensors = [arguments[name] for name in ('query', 'reference_points', 'value')]
        with torch._dynamo.config.patch(error_on_recompile=index > 0):
            torch.testing.assert_close(compiled(*tensors, height, width), module(**arguments))


def test_compile_module_with_inductor(device: str) -> None:
    module = make_module(device)
    arguments = module_inputs(2, 3, 5, device)
    compiled = torch.compile(module, fullgraph=True)
    torch.testing.assert_close(compiled(**arguments), module(**arguments), rtol=1e-4, atol=1e-5)


def test_export(device: str, tmp_path) -> None:
    module = make_module(device)
    arguments = module_inputs(2, 3, 5, device)
    program = torch.export.export(module, (), arguments)
    assert any('shared_ops.ms_deform_attn' in str(node.target) for node in program.graph.nodes)
    torch.export.save(program, tmp_path / 'module.pt2')
    loaded = torch.export.load(tmp_path / 'module.pt2').module()
    torch.testing.assert_close(loaded(**arguments), module(**arguments))


def test_export_with_any_batch(device: str) -> None:
    module = make_module(device)
    batch = {0: torch.export.Dim('N')}
    layout_stays = {'spatial_shapes': [(None, None)] * 2, 'level_start_index': [None] * 2}
    shapes = {'query': batch, 'reference_points': None, 'value': batch, **layout_stays}
    program = torch.export.export(module, (), module_inputs(2, 3, 5, device), dynamic_shapes=shapes)
    arguments = module_inputs(4, 3, 5, device)
    torch.testing.assert_close(program.module()(**arguments), module(**arguments))


@pytest.mark.parametrize('half', [torch.bfloat16, torch.float16], ids=str)
def test_autocast_keeps_value_and_widens_the_rest(half: torch.dtype, device: str, inputs) -> None:
    arguments = inputs(device, half)
    wanted = shared_ops.ms_deform_attn(**vars(arguments))
    with torch.autocast(device, half):
        assert torch.equal(shared_ops.ms_deform_attn(**vars(arguments)), wanted)

        arguments.attention_weights = arguments.attention_weights.to(half)
        widened = vars(arguments) | {'attention_weights': arguments.attention_weights.float()}
        got = OPERATORS.ms_deform_attn(*flat(arguments))
        assert torch.equal(got, shared_ops.ms_deform_attn(**widened))

        arguments.value = arguments.value.float()
        assert shared_ops.ms_deform_attn(**vars(arguments)).dtype == torch.float32


@pytest.mark.parametrize('half', [torch.bfloat16, torch.float16], ids=str)
def test_module_under_autocast(half: torch.dtype, device: str) -> None:
    module = make_module(device)
    arguments = module_inputs(2, 3, 5, device)
    wanted = module(**arguments)
    with torch.autocast(device, half):
        output = module(**arguments)
    assert output.dtype == half
    assert (output - wanted).abs().max() < 0.1 * wanted.abs().max()
    output.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in module.parameters())
