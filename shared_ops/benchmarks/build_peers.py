"""Builds the peers that have to be compiled, for a GPU machine without a network: ``python build_peers.py FOLDER``.

Their sources come from PyPI and are built with the PyTorch that runs this, which has to be that of the GPU machine; a
GPU is not needed. FOLDER is put on ``PYTHONPATH`` there. A peer that cannot be built is left out: the end of what went
wrong is kept beside the others, where the benchmarks find it. Needs uv, nvcc, and in this environment PyTorch for
nvcc's version of CUDA, setuptools below 82, wheel and ninja.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

# of what a compiler says, in `absent` of the results
KEPT = 300


def install(folder: Path, requirement: str, *options: str, **env: str) -> None:
    """Install one distribution alone into a folder, built with what this environment has."""
    fixed = ('--python', sys.executable, '--target', str(folder), '--no-deps', '--no-build-isolation', '--no-cache')
    command = ['uv', 'pip', 'install', '--quiet', *fixed, *options, requirement]
    result = subprocess.run(command, env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        raise RuntimeError(result.stdout)


def build_deformops(folder: Path, scratch: Path) -> None:
    """Install it with its CUDA library, which its source distribution compiles when asked to; Triton needs none."""
    requirement = 'deformops==3.0.1'
    try:
        install(folder, requirement, '--no-binary', 'deformops', DEFORMOPS_EXTENSIONS='all')
    except RuntimeError:
        install(folder, requirement)
        raise


# Runs in its sources before its setup.py, which asks for a GPU that it does not use. The other one of its two operators
# takes two minutes more.
BEFORE_DCNV4 = r"""
import re
from pathlib import Path

import torch

torch.cuda.is_available = lambda: True
header = Path('src/dcnv4.h')
if header.exists():
    Path('src/cuda/flash_deform_attn_cuda.cu').unlink(missing_ok=True)
    calls = r'return flash_deform_attn_cuda_\w+\([^;]*;'
    header.write_text(re.sub(calls, 'AT_ERROR("was left out");', header.read_text()))
"""


def build_dcnv4(folder: Path, scratch: Path) -> None:
    """Install it as if there were a GPU, without its attention."""
    (scratch / 'sitecustomize.py').write_text(BEFORE_DCNV4, encoding='utf-8')
    install(folder, 'DCNv4==1.0.0.post2', '--no-binary', 'DCNv4', PYTHONPATH=str(scratch))


def build_deformable_detr(folder: Path, scratch: Path) -> None:
    """Compile the original kernels from a release of transformers that carries them."""
    install(scratch, 'transformers==4.34.1')
    sources = scratch / 'transformers' / 'kernels' / 'deformable_detr'
    kernels = sources / 'cuda' / 'ms_deform_attn_cuda.cu'
    # PyTorch no longer takes a tensor's type() where it asks for a scalar type
    text = kernels.read_text(encoding='utf-8')
    kernels.write_text(text.replace('TYPES(value.type()', 'TYPES(value.scalar_type()'), encoding='utf-8')
    from torch.utils.cpp_extension import load  # which looks for CUDA when it is imported

    name = 'MultiScaleDeformableAttention'
    load(
        name,
        [str(sources / 'vision.cpp'), str(kernels)],
        extra_include_paths=[str(sources)],
        extra_cflags=['-O3', '-DWITH_CUDA'],
        extra_cuda_cflags=['-O3', '-DWITH_CUDA'],
        build_directory=str(scratch),
    )
    shutil.copy(scratch / f'{name}.so', folder)


# by the names that they have in peers.py
BUILDERS: dict[str, Callable[[Path, Path], None]] = {
    'deformops': build_deformops,
    'Deformable-DETR': build_deformable_detr,
    'DCNv4': build_dcnv4,
}


def prepare_environment(archs: list[str]) -> None:
    """Tell the compilers what to build for, to be brief, and where CUDA is.

    A toolkit may lack the headers of CUDA's libraries, which PyTorch's own include and its wheels for CUDA bring along.
    """
    os.environ['TORCH_CUDA_ARCH_LIST'] = ';'.join(archs)
    os.environ.update(LDFLAGS='-Wl,--strip-debug', NVCC_APPEND_FLAGS='-Xfatbin=-compress-all')  # a fifth of the bytes
    os.environ['PATH'] = os.pathsep.join((str(Path(sys.executable).parent), os.environ['PATH']))  # where ninja is
    if 'CUDA_HOME' not in os.environ:
        said = subprocess.run(['nvcc', '--dryrun', '-x', 'cu', os.devnull], capture_output=True, text=True).stderr
        os.environ['CUDA_HOME'] = str(Path(re.search(r'TOP=(.*)', said)[1].strip()).resolve())
    spec = importlib.util.find_spec('nvidia')
    wheels = (
        [folder for place in spec.submodule_search_locations for folder in Path(place).glob('*/include')]
        if spec
        else []
    )
    os.environ['CPATH'] = os.pathsep.join(filter(None, (os.environ.get('CPATH'), *map(str, wheels))))


def main() -> None:
    """Build every peer, one after another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--archs', nargs='+', default=['9.0'], help='compute capabilities (default: 9.0)')
    parser.add_argument('--peers', nargs='+', choices=BUILDERS, default=list(BUILDERS), metavar='NAME')
    arguments = parser.parse_args()
    prepare_environment(arguments.archs)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name in arguments.peers:
        note = arguments.folder / f'{name}.missing'
        note.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            try:
                BUILDERS[name](arguments.folder, Path(scratch))
            except Exception as error:  # whatever compilers and installers of others come upon
                print(error, file=sys.stderr)
                said = re.sub(r'(/[^/\s:]+)+/', '', ' '.join(f'{error}'.split()))  # without folders of this machine
                note.write_text(f'could not be built: {said[-KEPT:]}\n', encoding='utf-8')
        print(f'{name}: {note.read_text(encoding="utf-8").strip() if note.exists() else "built"}')


if __name__ == '__main__':
    main()
