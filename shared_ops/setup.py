"""Builds the kernels. SHARED_OPS_BUILD says which:

auto (default)  what can be built; the rest is left out with a warning, and plain PyTorch serves in its place
cpu             the CPU library, or fail
cuda            the CPU and the CUDA library, or fail
none            nothing

SHARED_OPS_CUDA_ARCHS, for example "80 90", builds CUDA code for these compute capabilities alone, in less time.
SHARED_OPS_CUDA_ORDER=heads builds another order of the work, to be timed beside the usual one, which is queries.

The libraries use PyTorch's stable ABI and no Python API: one build serves every PyTorch from 2.10 and every Python
from 3.10 on. They are compiled here rather than by torch.utils.cpp_extension, which insists that nvcc and PyTorch
have the same CUDA version; libraries with the stable ABI and a CUDA runtime of their own do not care.
"""

import importlib.metadata
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel as _bdist_wheel
from setuptools.command.build import build as _build
from setuptools.command.build_ext import build_ext as _build_ext
from setuptools.errors import CompileError

CSRC = Path('csrc')
SOURCES = {
    'cpu': ['library.cpp', 'build_info.cpp', 'cpu/operators.cpp', 'cpu/loops.cpp'],
    'cuda': ['build_info.cpp', *sorted(f'cuda/{path.name}' for path in CSRC.glob('cuda/*.cu'))],
}
# The loops are compiled once for every instruction set; which of them run is chosen when the library is loaded.
LOOPS = 'cpu/loops.cpp'
# GCC warns of its own intrinsics, and of vectors as arguments of functions, which are all inlined.
LOOP_OPTIONS = ['-Wno-psabi', '-Wno-maybe-uninitialized', '-Wno-unknown-warning-option']
AVX2 = ['-mavx2', '-mfma', '-mf16c']
AVX512 = [*AVX2, '-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mprefer-vector-width=512']
INSTRUCTION_SETS = {'baseline': []}
if platform.machine() in ('x86_64', 'AMD64'):
    INSTRUCTION_SETS |= {'avx2': AVX2, 'avx512': AVX512}
# The first PyTorch that has what the kernels need; its ABI is kept by all later ones.
TARGET = '-DTORCH_TARGET_VERSION=0x020a000000000000'
# Real code for those of these that nvcc knows (CUDA 13 dropped 7.0); newer devices of the same generation run it too,
# and all later ones compile the PTX.
CUDA_ARCHS = [70, 75, 80, 86, 90, 100, 120]
PTX_ARCH = 100
# What output vectors of a block have in common: see csrc/cuda/work.cuh.
CUDA_ORDERS = {'queries': [], 'heads': ['-DSHARED_OPS_HEADS_TOGETHER']}
CHOICES = ['auto', 'cpu', 'cuda', 'none']


def chosen(variable: str, choices: Collection[str], default: str) -> str:
    value = os.environ.get(variable, '') or default
    if value not in choices:
        raise SystemExit(f'{variable}={value!r} is not known: choose one of {", ".join(choices)}')
    return value


def choice() -> str:
    return chosen('SHARED_OPS_BUILD', CHOICES, 'auto')


def find_nvcc() -> str | None:
    home = os.environ.get('CUDA_HOME') or os.environ.get('CUDA_PATH')
    inside = [str(Path(home, 'bin'))] if home else []
    return shutil.which('nvcc', path=os.pathsep.join([*inside, os.environ.get('PATH', ''), '/usr/local/cuda/bin']))


def libraries() -> list[str]:
    """Return the libraries to try."""
    built = {'none': [], 'cpu': ['cpu'], 'cuda': ['cpu', 'cuda']}
    return built.get(choice(), ['cpu', 'cuda'] if find_nvcc() else ['cpu'])


def torch_folder() -> Path:
    # finding is enough: importing takes seconds
    spec = importlib.util.find_spec('torch')
    if spec is None or spec.origin is None:
        raise CompileError('the headers of torch are needed to build the kernels: install torch>=2.10 first')
    return Path(spec.origin).parent


def run(command: list[str]) -> None:
    print(shlex.join(command), flush=True)
    try:
        result = subprocess.run(command)
    except OSError as error:
        raise CompileError(f'{command[0]} does not start: {error}') from error
    if result.returncode:
        raise CompileError(f'{command[0]} failed: {shlex.join(command)}')


def first_line(command: list[str], last: bool = False) -> str:
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()
    except (OSError, subprocess.CalledProcessError) as error:
        raise CompileError(f'{command[0]} does not work: {error}') from error
    return lines[-1 if last else 0].replace('"', '')


def asked_archs() -> list[str]:
    return re.findall(r'[^\s,;]+', os.environ.get('SHARED_OPS_CUDA_ARCHS', ''))


def cuda_archs(nvcc: str) -> tuple[list[int], int]:
    """Return the compute capabilities to build code for, and that of the PTX."""
    listed = subprocess.run([nvcc, '--list-gpu-code'], capture_output=True, text=True, check=True).stdout.split()
    asked = asked_archs()
    for arch in asked:
        if f'sm_{arch}' not in listed:
            names = ' '.join(name.removeprefix('sm_') for name in listed)
            raise CompileError(f'SHARED_OPS_CUDA_ARCHS: {nvcc} does not know {arch!r}: choose among {names}')
    known = sorted(map(int, asked)) or [arch for arch in CUDA_ARCHS if f'sm_{arch}' in listed]
    if not known:
        raise CompileError(f'{nvcc} knows none of the architectures {CUDA_ARCHS}')
    return known, PTX_ARCH if PTX_ARCH in known else known[-1]


def build_library(name: str, path: Path, scratch: Path) -> None:
    """Compile and link one library.

    Args:
        name: ``'cpu'`` or ``'cuda'``.
        path: the library.
        scratch: folder for object files.
    """
    torch = torch_folder()
    cxx = shlex.split(os.environ.get('CXX', 'c++'))
    made_with = [
        f'SHARED_OPS_BUILD={choice()}',
        f'headers of torch {importlib.metadata.version("torch")}',
        first_line([*cxx, '--version']),
    ]
    common = ['-O3', '-std=c++20', '-DNDEBUG', TARGET, '-isystem', str(torch / 'include')]
    compile_cxx = [*cxx, *common, '-fPIC', '-fvisibility=hidden', '-Wall', '-Wextra']
    compilers = {'.cpp': compile_cxx}
    link = [*cxx, '-shared']
    if name == 'cuda':
        nvcc = find_nvcc()
        if nvcc is None:
            raise CompileError('nvcc was not found: put it on PATH or set CUDA_HOME')
        archs, ptx = cuda_archs(nvcc)
        codes = [(arch, f'sm_{arch}') for arch in archs] + [(ptx, f'compute_{ptx}')]
        order = chosen('SHARED_OPS_CUDA_ORDER', CUDA_ORDERS, 'queries')
        made_with += [
            first_line([nvcc, '--version'], last=True),
            ' '.join(code for _, code in codes),
            f'{order} together',
        ]
        host = ['-ccbin', cxx[0]] if 'CXX' in os.environ else []
        options = [
            '-DUSE_CUDA', f'-DSHARED_OPS_CUDA_PTX={10 * ptx}', *CUDA_ORDERS[order], '--threads', '0',
            # lines for profilers and sanitizers: with all architectures they make a library of 100 MB instead of 28
            *(['-lineinfo'] if asked_archs() else []), '-Xcompiler', '-fPIC,-fvisibility=hidden',
            *(f'-gencode=arch=compute_{arch},code={code}' for arch, code in codes),
        ]  # fmt: skip
        compilers['.cu'] = [nvcc, *host, *common, *options]
        link = [nvcc, *host, '-shared', '-cudart', 'static']
    compile_cxx.append('-DSHARED_OPS_BUILD_INFO="' + '; '.join(made_with) + '"')

    scratch.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if len(INSTRUCTION_SETS) > 1:
        compile_cxx.append('-DSHARED_OPS_X86')
    variants = {isa: [*LOOP_OPTIONS, f'-DSHARED_OPS_ISA={isa}', *options] for isa, options in INSTRUCTION_SETS.items()}
    objects, commands = [], []
    for source in SOURCES[name]:
        for variant, options in variants.items() if source == LOOPS else [('', [])]:
            objects.append(str(scratch / f'{Path(source).name}.{variant}.o'))
            commands.append([*compilers[Path(source).suffix], *options, '-c', str(CSRC / source), '-o', objects[-1]])
    with ThreadPoolExecutor() as pool:
        list(pool.map(run, commands))

    needed = ['torch_cpu', 'torch_cuda'] if name == 'cuda' else ['torch_cpu']
    for library in needed:
        if not (torch / 'lib' / f'lib{library}.so').exists():
            # a PyTorch without CUDA can build for one with it: what counts is the name that the loader looks for
            soname = f'-Wl,-soname,lib{library}.so'
            run([*cxx, '-shared', '-x', 'c++', '/dev/null', soname, '-o', str(scratch / f'lib{library}.so')])
    folders = [f'-L{torch / "lib"}', f'-L{scratch}']
    keep = ['-Xlinker', '--no-as-needed']
    run([*link, *objects, *folders, *keep, *[f'-l{library}' for library in needed], '-o', str(path)])


class build(_build):  # noqa: N801
    def run(self) -> None:
        # what an earlier build of other libraries left there would end up in this wheel
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class build_ext(_build_ext):  # noqa: N801
    def get_ext_filename(self, fullname: str) -> str:
        return fullname.replace('.', os.sep) + '.so'

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return []

    def build_extension(self, ext: Extension) -> None:
        name = ext.name.rsplit('_', 1)[1]
        path = Path(self.get_ext_fullpath(ext.name))
        scratch = Path(self.build_temp, name)
        if not ext.optional:
            build_library(name, path, scratch)
            return
        try:
            build_library(name, path, scratch)
        except Exception as error:
            self.warn(f'the {name} kernels are left out: {error}')


class bdist_wheel(_bdist_wheel):  # noqa: N801
    def get_tag(self) -> tuple[str, str, str]:
        built = list(Path(self.bdist_dir).rglob('libshared_ops_*.so'))
        if not built:
            return 'py3', 'none', 'any'
        return 'cp310', 'abi3', super().get_tag()[2]


def supported() -> bool:
    """Say whether the kernels are written for this system; elsewhere ``auto`` builds none."""
    return sys.platform == 'linux' and platform.python_implementation() == 'CPython'


planned = libraries() if supported() or choice() != 'auto' else []
setup(
    ext_modules=[
        Extension(
            f'shared_ops.libshared_ops_{name}',
            [str(CSRC / source) for source in SOURCES[name]],
            depends=[str(path) for pattern in ('*.h', '*.cuh') for path in CSRC.rglob(pattern)],
            optional=choice() == 'auto',
        )
        for name in planned
    ],
    cmdclass={'bdist_wheel': bdist_wheel, 'build': build, 'build_ext': build_ext},
)
