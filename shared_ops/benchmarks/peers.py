"""The packages on PyPI that compute the same operators: how each is called, and what each does not do.

``build_peers.py`` builds those that need it for a machine that cannot.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import torch
from implementations import Bound, Gradients
from shapes import AttentionCase, Case, ConvolutionCase
from tensors import Precision, Tensors, level_starts
from torch import Tensor


def _unbuilt(distribution: str) -> str:
    """Return why ``build_peers.py`` could not build a peer, where it says so, or that it is not installed."""
    notes = (Path(folder, f'{distribution}.missing') for folder in sys.path)
    return next((note.read_text(encoding='utf-8').strip() for note in notes if note.is_file()), 'is not installed')


def _load(module: str, distribution: str) -> tuple[ModuleType | None, str | None]:
    """Import a peer; return it, or why it is not there."""
    try:
        return importlib.import_module(module), None
    except ModuleNotFoundError as error:
        if error.name == module.split('.')[0]:
            return None, _unbuilt(distribution)
        return None, f'does not import: {error}'
    except Exception as error:
        # a library for another PyTorch or CUDA fails in ways of its own
        return None, f'does not import: {error}'


def _layout(tensors: Tensors) -> tuple[Tensor, Tensor]:
    """Return the spatial shapes ``[L, 2]`` and level starts ``[L]`` as int64 tensors on the tensors' device."""
    assert isinstance(tensors.case, AttentionCase)
    levels, device = tensors.case.levels, tensors.inputs[0].device
    return torch.tensor(levels, device=device), torch.tensor(level_starts(levels), device=device)


class Peer:
    """One package of others.

    Attributes:
        name: on PyPI.
        operators: those that it has.
        module: what is imported.
        function: name of what is called, in ``module``.
        on_cpu: it has CPU kernels.
        halves: it takes float16 and bfloat16.
        mixes: it takes points in float32 beside data in half.
    """

    name: str
    operators: tuple[str, ...]
    module: str
    function: str
    on_cpu = False
    halves = True
    mixes = False

    def __init__(self) -> None:
        self._module, self._reason = _load(self.module, self.name)
        if self._module is not None and not callable(self._entry()):
            self._reason = f'lacks {self.function}: it was installed without its library'

    def _entry(self) -> Any:
        found: Any = self._module
        for part in self.function.split('.'):
            found = getattr(found, part, None)
        return found

    def missing(self, device: str) -> str | None:
        """Return why it cannot run on a type of device here, or ``None`` where it can."""
        if device == 'cpu' and not self.on_cpu:
            return f'has no CPU kernels, and {self._reason}' if self._reason else 'has no CPU kernels'
        return self._reason

    def refuses(self, case: Case, batch: int, precision: Precision, device: str) -> str | None:
        """Return why it does not do this, or ``None`` where it does."""
        if not self.halves and precision.data in (torch.float16, torch.bfloat16):
            return 'takes float32 and float64 only'
        if not self.mixes and precision.points != precision.data:
            return 'takes all its tensors in one type only'
        return None

    def bind(self, tensors: Tensors) -> Bound:
        """Prepare everything that a model would not do anew for every call."""
        raise NotImplementedError


class TorchMSDeformAttn(Peer):
    """https://pypi.org/project/torch-ms-deform-attn: CPU, CUDA and MPS; halves are computed through float32."""

    name = 'torch-ms-deform-attn'
    operators = ('ms_deform_attn',)
    module = 'torch_ms_deform_attn'
    function = 'ms_deform_attn'
    on_cpu = True

    def bind(self, tensors: Tensors) -> Bound:
        """Take the spatial shapes as tensors."""
        function, (shapes, starts) = self._entry(), _layout(tensors)
        value, locations, weights = tensors.inputs
        return Bound(lambda: function(value, shapes, starts, locations, weights), tensors.inputs)


class MSDeformAttn(Peer):
    """https://pypi.org/project/ms-deform-attn: the original CUDA kernels of Deformable DETR, as DINOv3 ships them."""

    name = 'ms-deform-attn'
    operators = ('ms_deform_attn',)
    # it installs its modules under this general name
    module = 'functions.ms_deform_attn_func'
    function = 'MSDeformAttnFunction.apply'
    halves = False

    def bind(self, tensors: Tensors) -> Bound:
        """Take the spatial shapes as tensors, and the whole batch at once, which is fastest."""
        function, (shapes, starts) = self._entry(), _layout(tensors)
        value, locations, weights = tensors.inputs
        im2col_step = tensors.batch
        return Bound(lambda: function(value, shapes, starts, locations, weights, im2col_step), tensors.inputs)


class _DeformableDETR(torch.autograd.Function):
    """The original's binding has no autograd of its own."""

    @staticmethod
    def forward(ctx: Any, library: Any, step: int, *tensors: Tensor) -> Tensor:
        ctx.library, ctx.step = library, step
        ctx.save_for_backward(*tensors)
        output: Tensor = library.ms_deform_attn_forward(*tensors, step)
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors
        value, locations, weights = ctx.library.ms_deform_attn_backward(*tensors, grad_output.contiguous(), ctx.step)
        return None, None, value, None, None, locations, weights


class DeformableDETR(Peer):
    """The original kernels, https://github.com/fundamentalvision/Deformable-DETR, as transformers 4.34.1 carries them.

    mmcv's are the same.
    """

    name = 'Deformable-DETR'
    operators = ('ms_deform_attn',)
    module = 'MultiScaleDeformableAttention'
    function = 'ms_deform_attn_forward'
    halves = False

    def bind(self, tensors: Tensors) -> Bound:
        """Take the spatial shapes as tensors, and the whole batch at once, which is fastest."""
        shapes, starts = _layout(tensors)
        value, locations, weights = tensors.inputs
        arguments = (self._module, tensors.batch, value, shapes, starts, locations, weights)
        return Bound(lambda: _DeformableDETR.apply(*arguments), tensors.inputs)


class Deformops(Peer):
    """https://pypi.org/project/deformops: Triton on a GPU by its own choice; half gradients are summed in half."""

    name = 'deformops'
    operators = ('ms_deform_attn',)
    module = 'deformops.registry'
    function = 'msda'
    mixes = True
    backend: str | None = None
    options: ClassVar[dict[str, object]] = {}

    def bind(self, tensors: Tensors) -> Bound:
        """Round the weights beforehand, which it wants in the type of the values."""
        function, (shapes, starts) = self._entry(), _layout(tensors)
        value, locations, weights = tensors.inputs
        weights = weights.detach().to(value.dtype).flatten(3).requires_grad_()
        backend = self.backend and self._module.Backend[self.backend]
        inputs = (value, locations, weights)
        return Bound(
            lambda: function(value, shapes, starts, locations, weights, backend=backend, **self.options), inputs
        )


class DeformopsFloat32Sums(Deformops):
    """The same, with the option that sums half gradients in float32."""

    name = 'deformops-float32-sums'
    backend = 'TRITON'
    options: ClassVar[dict[str, object]] = {'fp32acc': True}

    def refuses(self, case: Case, batch: int, precision: Precision, device: str) -> str | None:
        """Refuse what is the same without the option."""
        if precision.data not in (torch.float16, torch.bfloat16):
            return 'is deformops itself where the data are float32'
        return super().refuses(case, batch, precision, device)


class DeformopsCuda(Deformops):
    """Its CUDA kernels, which have to be compiled when it is installed."""

    name = 'deformops-cuda'
    backend = 'CUDA'

    def missing(self, device: str) -> str | None:
        """Return also why there is no library."""
        reason = super().missing(device)
        if reason:
            return reason
        try:
            self._entry().load(self._module.Backend.CUDA)
        except Exception as error:
            # errors of its own, whose class is nothing more specific
            return f'{error}'.split('. ')[0]
        return None


class DCNv4(Peer):
    """https://pypi.org/project/DCNv4: computes DCNv3 when given its masks, with offsets and masks in one tensor."""

    name = 'DCNv4'
    operators = ('dcnv3',)
    module = 'DCNv4.functions'
    function = 'DCNv4Function.apply'

    def refuses(self, case: Case, batch: int, precision: Precision, device: str) -> str | None:
        """Refuse bfloat16, of whose gradients it makes tensors of the wrong type."""
        if precision.data == torch.bfloat16:
            return 'has no backward in bfloat16'
        return super().refuses(case, batch, precision, device)

    def bind(self, tensors: Tensors) -> Bound:
        """Put offsets and masks together beforehand: its own modules compute them so."""
        case = tensors.case
        assert isinstance(case, ConvolutionCase)
        function = self._entry()
        (kernel_h, kernel_w), G, D = case.kernel, case.groups, case.channels
        data, offset, mask = tensors.inputs
        N, H, W, _ = data.shape
        K = kernel_h * kernel_w
        # per group the offsets, then the masks; the last dimension is filled up to a multiple of 8
        points = torch.cat((offset.detach().reshape(N, H, W, G, K * 2), mask.detach().reshape(N, H, W, G, K)), -1)
        points = torch.nn.functional.pad(points.flatten(3), (0, -(G * K * 3) % 8)).requires_grad_()

        def forward() -> Tensor:
            output: Tensor = function(
                data, points, kernel_h, kernel_w, 1, 1, 1, 1, 1, 1, G, D, case.offset_scale, N, False
            )
            return output

        def unpack(gradients: Sequence[Tensor]) -> Gradients:
            grad_data, grad_points = gradients
            split = grad_points[..., : G * K * 3].reshape(N, H, W, G, K * 3)
            return grad_data, split[..., : K * 2].flatten(3), split[..., K * 2 :].flatten(3)

        return Bound(forward, (data, points), unpack)


PEERS: tuple[type[Peer], ...] = (
    TorchMSDeformAttn, MSDeformAttn, DeformableDETR, Deformops, DeformopsFloat32Sums, DeformopsCuda, DCNv4,
)  # fmt: skip
