"""What every operator needs around its kernels, written once: plain PyTorch, shapes, derivative, autocast.

An operator takes a tensor of data, two tensors that say where and how much to sample (its points), and numbers. Its
backward, of the same name with ``_`` before and ``_backward`` behind, takes the gradient of the output before those,
and after them which gradients are wanted and whether it must add up in an order that never changes; it returns the
gradients of the three tensors, without elements where they are not wanted.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ._library import PLAIN, registry, warn_of_reference
from ._sampling import compute_dtype

_AUTOCAST = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU) | torch._C.DispatchKeySet(
    torch._C.DispatchKey.AutocastCUDA
)


def in_common_type(data: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return the two tensors of points in a type that kernels read: both in that of ``data``, or both computable."""
    if first.dtype == data.dtype and second.dtype == data.dtype:
        return first, second
    dtype = compute_dtype(data.dtype)
    return first.to(dtype), second.to(dtype)


def register(
    name: str,
    forward: Callable[..., Tensor],
    backward: Callable[..., tuple[Tensor, Tensor, Tensor]],
    output_shape: Callable[..., tuple[int, ...]],
) -> None:
    """Complete the operator ``name`` and its backward, whose schemas are defined.

    Args:
        name: of the operator.
        forward: the operator in plain PyTorch.
        backward: its gradients in plain PyTorch.
        output_shape: of the operator's arguments.
    """
    operator = getattr(torch.ops.shared_ops, name)
    backward_operator = getattr(torch.ops.shared_ops, f'_{name}_backward')
    kinds = [str(argument.type) for argument in operator.default._schema.arguments]
    tensors = [position for position, kind in enumerate(kinds) if kind == 'Tensor']

    def warn(device: torch.device) -> None:
        warn_of_reference(device.type, device.index or 0)

    def fallback(*arguments: Any) -> Tensor:
        warn(arguments[0].device)
        return forward(*arguments)

    def fallback_backward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        warn(arguments[0].device)
        return backward(*arguments)

    # a device's own kernels come before these
    for title in (name, PLAIN.format(name)):
        registry.impl(title, fallback, 'CompositeExplicitAutograd')
    for title in (f'_{name}_backward', PLAIN.format(f'{name}_backward')):
        registry.impl(title, fallback_backward, 'CompositeExplicitAutograd')

    def fake(*arguments: Any) -> Tensor:
        data: Tensor = arguments[0]
        return data.new_empty(output_shape(*arguments))

    def fake_backward(grad_output: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
        inputs, output_mask = [arguments[position] for position in tensors], arguments[len(kinds)]
        return tuple(tensor.new_empty(tensor.shape if wanted else 0) for tensor, wanted in zip(inputs, output_mask))

    torch.library.register_fake(f'shared_ops::{name}', fake)
    torch.library.register_fake(f'shared_ops::_{name}_backward', fake_backward)

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*(inputs[position] for position in tensors))
        ctx.numbers = [value for position, value in enumerate(inputs) if position not in tensors]

    def differentiate(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        saved, numbers = iter(ctx.saved_tensors), iter(ctx.numbers)
        arguments = [next(saved if position in tensors else numbers) for position in range(len(kinds))]
        output_mask = [ctx.needs_input_grad[position] for position in tensors]
        deterministic = torch.are_deterministic_algorithms_enabled()
        gradients = backward_operator(grad_output, *arguments, output_mask, deterministic)
        results: list[Tensor | None] = [None] * len(kinds)
        for position, wanted, gradient in zip(tensors, output_mask, gradients):
            results[position] = gradient if wanted else None
        return tuple(results)

    def refuse(ctx: Any, *gradients: Tensor) -> None:
        raise RuntimeError(f'{name} has no second derivative: differentiate it once, without create_graph')

    torch.library.register_autograd(f'shared_ops::{name}', differentiate, setup_context=setup_context)
    torch.library.register_autograd(f'shared_ops::_{name}_backward', refuse)

    def autocast(*arguments: Any) -> Tensor:
        # the data as it is, the points in what the operator takes, whatever autocast has made of them
        given = list(arguments)
        data, first, second = tensors
        given[first], given[second] = in_common_type(given[data], given[first], given[second])
        with torch._C._ExcludeDispatchKeyGuard(_AUTOCAST):
            output: Tensor = operator(*given)
        return output

    registry.impl(name, autocast, 'AutocastCPU')
    registry.impl(name, autocast, 'AutocastCUDA')
