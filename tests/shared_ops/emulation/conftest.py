"""Compiles the CUDA kernels for the CPU: see include/cuda_runtime.h."""

import ctypes
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

HERE = Path(__file__).parent
CSRC = Path(__file__).parents[3] / 'shared_ops' / 'csrc'
# id: (compute capability times 10, order of the work). Neither asks for the other: two libraries show both of either.
VARIANTS = {
    'capability 8.0, heads together': (80, ['-DSHARED_OPS_HEADS_TOGETHER']),
    'capability 9.0, queries together': (90, []),
}


@pytest.fixture(scope='session', params=VARIANTS)
def emulation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The kernels for CUDA on CPU tensors.

    ``operators`` is as ``torch.ops.shared_ops``, ``choose_device`` as in ``emulation.cpp``, and ``capability`` is what
    the kernels were compiled for.
    """
    capability, options = VARIANTS[request.param]
    name = f'shared_ops_emulation_{list(VARIANTS).index(request.param)}'
    library = tmp_path_factory.mktemp('emulation') / f'lib{name}.so'
    torch_folder = Path(torch.__file__).parent
    command = [
        *shlex.split(os.environ.get('CXX', 'c++')),
        '-std=c++20', '-O1', '-fPIC', '-shared', '-fvisibility=hidden', '-Wno-unknown-pragmas',
        '-DUSE_CUDA', '-DTORCH_TARGET_VERSION=0x020a000000000000', *options,
        f'-DSHARED_OPS_CUDA_ARCH={10 * capability}', f'-D__CUDA_ARCH_LIST__={10 * capability}',
        '-DSHARED_OPS_CUDA_PTX=1000', f'-DEMULATION={name}',
        f'-I{HERE / "include"}', f'-I{CSRC / "cuda"}', '-isystem', str(torch_folder / 'include'),
        str(HERE / 'emulation.cpp'), f'-L{torch_folder / "lib"}', '-ltorch_cpu', '-o', str(library),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    torch.ops.load_library(library)
    choose_device = ctypes.CDLL(str(library)).choose_device
    return SimpleNamespace(operators=getattr(torch.ops, name), choose_device=choose_device, capability=capability)


@pytest.fixture
def kernels(emulation: SimpleNamespace) -> object:
    """Operators as in ``torch.ops.shared_ops``, whose kernels are those for CUDA, on CPU tensors."""
    return emulation.operators


@pytest.fixture
def choose_device(emulation: SimpleNamespace) -> Iterator[Callable[[int, int], int]]:
    """Choose capability and multiprocessors; return how many kernels were launched since this was last called."""
    yield emulation.choose_device
    emulation.choose_device(emulation.capability, 132)
