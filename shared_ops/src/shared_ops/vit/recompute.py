"""Activations that are computed again in the backward instead of being kept."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recompute(forward: Callable[..., Tensor], tokens: Tensor, *inputs: Any, with_cp: bool) -> Tensor:
    """Return ``forward(tokens, *inputs)``.

    Args:
        forward: part of a module.
        tokens: its first input; if it needs no gradient, activations are kept nowhere anyway.
        inputs: its further inputs.
        with_cp: keep only the inputs for the backward, and call ``forward`` again there.
    """
    if with_cp and tokens.requires_grad:
        recomputed: Tensor = checkpoint(forward, tokens, *inputs, use_reentrant=False)
        return recomputed
    return forward(tokens, *inputs)
