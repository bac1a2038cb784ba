"""The operators as PyTorch's own: for programs that leave PyTorch, where no kernel of ours runs."""

from collections.abc import Callable
from typing import Any

import torch

from . import reference
from .ms_deform_attn import backward, forward


def decompositions() -> dict[Any, Callable[..., Any]]:
    """Return functions that replace the operators by ``grid_sample`` in an exported program.

    The programs compute what the kernels compute, slower. They have no operator of this package any more, so that
    they run without it, and convert to ONNX with ``torch.onnx.export(program, (), dynamo=True)`` (opset 18 or later).

    Returns:
        A function for every operator, as ``run_decompositions`` takes them.

    Example:
        >>> import shared_ops
        >>> module = shared_ops.DCNv3(8, group=2).eval()
        >>> program = torch.export.export(module, (torch.rand(1, 5, 6, 8),))
        >>> program = program.run_decompositions(shared_ops.decompositions())
        >>> any('shared_ops' in str(node.target) for node in program.graph.nodes)
        False
    """
    operators = torch.ops.shared_ops
    return {
        operators.ms_deform_attn.default: forward,
        operators._ms_deform_attn_backward.default: backward,
        operators.dcnv3.default: reference.dcnv3,
        operators._dcnv3_backward.default: reference.dcnv3_backward,
    }
