"""Deformable convolution v3 (InternImage, https://arxiv.org/abs/2211.05778): the module.

Shape notation: N batch, H, W rows and columns, C channels, G groups, K points of a kernel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._dcnv3_checks import check_dcnv3_module
from ._sampling import softmax_over_points
from .dcnv3 import dcnv3
from .errors import InputError

ACTIVATIONS = {'GELU': nn.GELU, 'ReLU': nn.ReLU, 'SiLU': nn.SiLU}


class ToChannelsLast(nn.Module):
    """See ``[N, C, H, W]`` as ``[N, H, W, C]``."""

    def forward(self, input: Tensor) -> Tensor:
        """Return a view of ``input``."""
        return input.permute(0, 2, 3, 1)


def _norm(norm_layer: str, channels: int) -> nn.Sequential:
    """Return a norm from channels first to channels last; it stands in checkpoints under its place in the sequence."""
    if norm_layer == 'LN':
        return nn.Sequential(ToChannelsLast(), nn.LayerNorm(channels, eps=1e-6))
    return nn.Sequential(nn.BatchNorm2d(channels), ToChannelsLast())


class DCNv3(nn.Module):
    """Deformable convolution v3 with its projections (https://arxiv.org/abs/2211.05778, section 3.1).

    A depthwise convolution, norm and activation give the features from which every position predicts, for every
    group, the offsets and the masks of its kernel; the projected input is sampled there, summed and projected.
    Constructor and state-dict keys are those of the original (``ops_dcnv3/modules/dcnv3.py`` of InternImage):
    ``dw_conv.0``, ``dw_conv.1.1`` (LN) or ``dw_conv.1.0`` (BN), ``offset``, ``mask``, ``input_proj``,
    ``output_proj``, ``center_feature_scale_proj_weight`` and ``_bias``.

    Args:
        channels: C.
        kernel_size: rows and columns of the deformed kernel.
        dw_kernel_size: rows and columns of the depthwise convolution, an odd number; None for ``kernel_size``.
        stride: 1. Offsets are predicted at the positions of the input, so the result needs the input's size.
        pad: padding that keeps the size: ``dilation * (kernel_size - 1) / 2``.
        dilation: pixels between two points of the kernel.
        group: G; divides ``channels``.
        offset_scale: factor of the kernel, around its centre, and of the offsets.
        act_layer: ``'GELU'``, ``'ReLU'`` or ``'SiLU'``.
        norm_layer: ``'LN'`` or ``'BN'``.
        center_feature_scale: mix the projected input into what was sampled, by a share that every group predicts.

    Raises:
        ValueError: a number or a name is none of these.

    Example:
        >>> DCNv3(channels=8, group=2)(torch.rand(1, 5, 6, 8)).shape
        torch.Size([1, 5, 6, 8])
    """

    def __init__(
        self,
        channels: int = 64,
        kernel_size: int = 3,
        dw_kernel_size: int | None = None,
        stride: int = 1,
        pad: int = 1,
        dilation: int = 1,
        group: int = 4,
        offset_scale: float = 1.0,
        act_layer: str = 'GELU',
        norm_layer: str = 'LN',
        center_feature_scale: bool = False,
    ) -> None:
        super().__init__()
        dw_kernel_size = kernel_size if dw_kernel_size is None else dw_kernel_size
        check_dcnv3_module(channels, kernel_size, dw_kernel_size, stride, pad, dilation, group)
        for name, choice, choices in (
            ('act_layer', act_layer, tuple(ACTIVATIONS)), ('norm_layer', norm_layer, ('LN', 'BN'))
        ):  # fmt: skip
            if choice not in choices:
                raise InputError(f'{name} must be one of {", ".join(choices)}, not {choice!r}')
        self.channels = channels
        self.kernel_size = kernel_size
        self.dw_kernel_size = dw_kernel_size
        self.stride = stride
        self.pad = pad
        self.dilation = dilation
        self.group = group
        self.group_channels = channels // group
        self.offset_scale = offset_scale
        self.center_feature_scale = center_feature_scale

        self.dw_conv = nn.Sequential(
            nn.Conv2d(channels, channels, dw_kernel_size, padding=(dw_kernel_size - 1) // 2, groups=channels),
            _norm(norm_layer, channels),
            ACTIVATIONS[act_layer](),
        )
        points = group * kernel_size * kernel_size
        self.offset = nn.Linear(channels, points * 2)
        self.mask = nn.Linear(channels, points)
        self.input_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        if center_feature_scale:
            self.center_feature_scale_proj_weight = nn.Parameter(torch.empty(group, channels))
            self.center_feature_scale_proj_bias = nn.Parameter(torch.empty(group))
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Start as a plain kernel with equal masks, and with equal shares of input and result."""
        for layer in (self.offset, self.mask):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        for layer in (self.input_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        if self.center_feature_scale:
            nn.init.zeros_(self.center_feature_scale_proj_weight)
            nn.init.zeros_(self.center_feature_scale_proj_bias)

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``."""
        names = ('channels', 'kernel_size', 'pad', 'dilation', 'group', 'offset_scale', 'center_feature_scale')
        return ', '.join(f'{name}={getattr(self, name)}' for name in names)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve.

        Args:
            input: ``[N, H, W, C]``, channels last.

        Returns:
            ``[N, H, W, C]``.

        Raises:
            ValueError: ``input`` has another shape.
        """
        if input.dim() != 4 or input.shape[3] != self.channels:
            raise InputError(
                f'input must be [N, H, W, {self.channels}], channels last, the module having '
                f'channels={self.channels}, but has shape {list(input.shape)}'
            )
        projected = self.input_proj(input)
        features = self.dw_conv(input.permute(0, 3, 1, 2))  # [N, H, W, C]
        offset = self.offset(features)
        mask = self.mask(features).unflatten(-1, (self.group, -1))  # [N, H, W, G, K]
        mask = softmax_over_points(mask)
        output = dcnv3(
            projected,
            offset,
            mask.flatten(-2).to(projected.dtype),
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.pad,
            dilation=self.dilation,
            groups=self.group,
            offset_scale=self.offset_scale,
        )
        if self.center_feature_scale:
            output = self._mix(features, projected, output)
        result: Tensor = self.output_proj(output)
        return result

    def _mix(self, features: Tensor, projected: Tensor, output: Tensor) -> Tensor:
        """Take a share of the projected input instead of what was sampled around it."""
        weight, bias = self.center_feature_scale_proj_weight, self.center_feature_scale_proj_bias
        share = F.linear(features, weight, bias).sigmoid().unsqueeze(-1)  # [N, H, W, G, 1]
        shape = (*output.shape[:3], self.group, self.group_channels)
        mixed = output.reshape(shape) * (1 - share) + projected.reshape(shape) * share
        return mixed.flatten(-2)
