"""Compiles the CUDA kernels for the CPU: see include/cuda_runtime.h."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
CSRC = Path(__file__).parents[3] / 'shared_ops' / 'csrc'


@pytest.fixture(scope='session', params=[800, 900], ids=['compute capability 8.0', 'compute capability 9.0'])
def kernels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    """Operators as in ``torch.ops.shared_ops``, whose kernels are those for CUDA, on CPU tensors."""
    name = f'shared_ops_emulation_{request.param}'
    library = tmp_path_factory.mktemp('emulation') / f'lib{name}.so'
    torch_folder = Path(torch.__file__).parent
    command = [
        *shlex.split(os.environ.get('CXX', 'c++')),
        '-std=c++20', '-O1', '-fPIC', '-shared', '-fvisibility=hidden', '-Wno-unknown-pragmas',
        '-DUSE_CUDA', '-DTORCH_TARGET_VERSION=0x020a000000000000',
        f'-DSHARED_OPS_CUDA_ARCH={request.param}', f'-DEMULATION={name}',
        f'-I{HERE / "include"}', f'-I{CSRC / "cuda"}', '-isystem', str(torch_folder / 'include'),
        str(HERE / 'emulation.cpp'), f'-L{torch_folder / "lib"}', '-ltorch_cpu', '-o', str(library),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    torch.ops.load_library(library)
    return getattr(torch.ops, name)
