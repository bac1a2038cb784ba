"""The packages on PyPI that compute the same operators: how each is called, and what each does not do."""

import importlib
from collections.abc import Sequence
from types import ModuleType

import torch
from implementations import Bound, Gradients
from shapes import AttentionCase, Case, ConvolutionCase
from tensors import Precision, Tensors, level_starts
from torch import Tensor


def _load(module: str, distribution: str) -> tuple[ModuleType | None, str | None]:
    """Import a peer; return it, or why it is not there."""
    try:
        return importlib.import_module(module), None
    except ModuleNotFoundError as error:
        if error.name == module.split('.')[0]:
            return None, f'{distribution} is not installed'
        return None, f'{distribution} does not import: {error}'
    except Exception as error:
        # a library for another PyTorch or CUDA fails in ways of its own
        return None, f'{distribution} does not import: {error}'


def _layout(tensors: Tensors) -> tuple[Tensor, Tensor]:
    """Return the spatial shapes ``[L, 2]`` and level starts ``[L]`` as int64 tensors on the tensors' device."""
    assert isinstance(tensors.case, AttentionCase)
    device = tensors.inputs[0].device
    return torch.tensor(tensors.case.levels, device=device), torch.tensor(
        level_starts(tensors.case.levels), device=device
    )


class TorchMSDeformAttn:
    """https://pypi.org/project/torch-ms-deform-attn: CPU, CUDA and MPS; halves are computed through float32."""

    name = 'torch-ms-deform-attn'
    operators = ('ms_deform_attn',)

    def __init__(self) -> None:
        self._module, self._reason = _load('torch_ms_deform_attn', self.name)

    def missing(self, device: str) -> str | None:
        return self._reason

    def refuses(self, case: Case, batch: int, precision: Precision, device: str) -> str | None:
        if precision.points != precision.data:
            return 'takes locations and weights in the type of value only'
        return None

    def bind(self, tensors: Tensors) -> Bound:
        assert self._module is not None
        function, (shapes, starts) = self._module.ms_deform_attn, _layout(tensors)
        value, locations, weights = tensors.inputs
        return Bound(lambda: function(value, shapes, starts, locations, weights), tensors.inputs)


class MSDeformAttn:
    """https://pypi.org/project/ms-deform-attn: the original CUDA kernels of Deformable DETR, as DINOv3 ships them."""

    name = 'ms-deform-attn'
    operators = ('ms_deform_attn',)

    def __init__(self) -> None:
        # it installs its modules under these general names
        self._module, self._reason = _load('functions.ms_deform_attn_func', self.name)

    def missing(self, device: str) -> str | None:
        return 'has no CPU kernels' if device == 'cpu' and self._reason is None else self._reason

    def refuses(self, case: Case, batch: int, precision: Precision, device: str) -> str | None:
        if precision.data not in (torch.float32, torch.float64):
            return 'takes float32 and float64 only'
        return None

    def bind(self, tensors: Tensors) -> Bound:
        assert self._module is not None
        function, (shapes, starts) = self._module.MSDeformAttnFunction.apply, _layout(tensors)
        value, locations, weights = tensors.inputs
        im2col_step = tensors.batch  # must divide the batch; the whole of it at once is fastest
        return Bound(lambda: function(value, shapes, starts, locations, weights, im2col_step), tensors.inputs)


class DCNv4:
    """https://pypi.org/project/DCNv4: computes DCNv3 when given its masks, with offsets and masks in one tensor."""

    name = 'DCNv4'
    operators = ('dcnv3',)

    def __init__(self) -> None:
        self._module, self._reason = _load('DCNv4.functions', self.name)

    def missing(self, device: str) -> str | None:
        return 'has no CPU kernels' if device == 'cpu' and self._reason is None else self._reason

    def refuses(self, case: Case, batch: int, precision: Precision, device: str) -> str | None:
        if precision.points != precision.data:
            return 'takes offsets and masks in the type of input only'
        return None

    def bind(self, tensors: Tensors) -> Bound:
        assert self._module is not None
        case = tensors.case
        assert isinstance(case, ConvolutionCase)
        function = self._module.DCNv4Function.apply
        (kernel_h, kernel_w), G, D = case.kernel, case.groups, case.channels
        data, offset, mask = tensors.inputs
        N, H, W, _ = data.shape
        K = kernel_h * kernel_w
        # per group the offsets, then the masks; the last dimension is filled up to a multiple of 8
        points = torch.cat((offset.detach().reshape(N, H, W, G, K * 2), mask.detach().reshape(N, H, W, G, K)), -1)
        points = torch.nn.functional.pad(points.flatten(3), (0, -(G * K * 3) % 8)).requires_grad_()

        def forward() -> Tensor:
            return function(data, points, kernel_h, kernel_w, 1, 1, 1, 1, 1, 1, G, D, case.offset_scale, N, False)

        def unpack(gradients: Sequence[Tensor]) -> Gradients:
            grad_data, grad_points = gradients
            split = grad_points[..., : G * K * 3].reshape(N, H, W, G, K * 3)
            return grad_data, split[..., : K * 2].flatten(3), split[..., K * 2 :].flatten(3)

        return Bound(forward, (data, points), unpack)


def peers() -> list[TorchMSDeformAttn | MSDeformAttn | DCNv4]:
    """Return all peers, those that are not there among them."""
    return [TorchMSDeformAttn(), MSDeformAttn(), DCNv4()]
