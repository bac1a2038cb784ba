"""How the adapters' own parameters start (originals: ``_init_weights`` of vit_adapter.py and vit_comer.py)."""

import math

from torch import nn

from shared_ops import MSDeformAttn


def init_linear_weights(module: nn.Module) -> None:
    """Initialize one linear layer as BEiT's trunk does; pass it to ``nn.Module.apply``.

    Its weight starts from a truncated normal distribution of deviation 0.02, its bias from zero.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_adapter_weights(module: nn.Module) -> None:
    """Initialize one module of an adapter; pass it to ``nn.Module.apply``.

    Linear layers start from a truncated normal distribution of deviation 0.02, convolutions as in He et al. with the
    fan-out of a group, deformable attentions with their ring of offsets. Norms keep PyTorch's start, which is identity.
    """
    init_linear_weights(module)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, MSDeformAttn):
        # apply() reaches its linear layers first, so this has the last word
        module._reset_parameters()
