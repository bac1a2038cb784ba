"""The compiled libraries: what they ask of PyTorch, how they are loaded, what happens without them."""

import ctypes
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import shared_ops
from shared_ops import _library
from shared_ops._library import library_path

PACKAGE = Path(shared_ops.__file__).parent
SETUP = Path(__file__).parents[3] / 'shared_ops' / 'setup.py'

USE = """
import warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    import torch, shared_ops
    assert not caught, 'importing warns'
    value = torch.arange(6.0).reshape(1, 6, 1, 1)
    for _ in range(3):
        output = shared_ops.ms_deform_attn(
            value, [(2, 3)], [0], torch.full((1, 1, 1, 1, 1, 2), 0.5), torch.ones(1, 1, 1, 1, 1))
    assert output.item() == 2.5
ours = [str(w.message) for w in caught if 'shared_ops' in str(w.message)]
print(len(ours), *ours)
from shared_ops.__main__ import report
print(report())
"""


def run_python(script: list[str], path: Path | None = None, **variables: str) -> subprocess.CompletedProcess:
    """Run Python, with the package in the folder ``path`` before any installed one."""
    env = {key: value for key, value in os.environ.items() if key != 'SHARED_OPS_REQUIRE_KERNELS'} | variables
    if path is not None:
        env['PYTHONPATH'] = str(path)
    # not from here: the current folder would come first
    return subprocess.run([sys.executable, *script], env=env, cwd=path, capture_output=True, text=True)


@pytest.fixture
def without_libraries(tmp_path: Path) -> Path:
    """Return a folder with a copy of the package that has no libraries."""
    (tmp_path / 'shared_ops').mkdir()
    for file in PACKAGE.glob('*.py'):
        shutil.copy(file, tmp_path / 'shared_ops')
    return tmp_path


@pytest.fixture
def with_broken_library(without_libraries: Path) -> Path:
    (without_libraries / 'shared_ops' / library_path('cpu').name).write_bytes(b'\x7fELF, or so it says')
    return without_libraries


def test_without_library_plain_pytorch_serves_with_one_warning(without_libraries: Path) -> None:
    result = run_python(['-c', USE], without_libraries)
    assert result.returncode == 0, result.stderr
    assert re.match(r'1 plain PyTorch, which is slower, serves on cpu: ', result.stdout)
    assert 'libshared_ops_cpu.so was not built' in result.stdout
    assert 'SHARED_OPS_BUILD=cpu' in result.stdout
    assert re.search(r'^libshared_ops_cpu.so +no +libshared_ops_cpu.so was not built', result.stdout, flags=re.M)
    assert re.search(r'^ms_deform_attn +plain PyTorch +plain PyTorch$', result.stdout, flags=re.M)


def test_a_library_that_does_not_load_says_why(with_broken_library: Path) -> None:
    result = run_python(['-c', USE], with_broken_library)
    assert result.returncode == 0, result.stderr
    assert re.match(r'1 plain PyTorch.*libshared_ops_cpu.so: .*(ELF|short|header)', result.stdout)


@pytest.mark.parametrize(
    ['folder', 'reason'],
    [
        ('without_libraries', r'libshared_ops_cpu\.so was not built'),
        ('with_broken_library', r'libshared_ops_cpu\.so: '),
    ],
)
def test_required_kernels_that_are_missing_are_an_error(folder: str, reason: str, request) -> None:
    path = request.getfixturevalue(folder)
    result = run_python(['-c', 'import shared_ops'], path, SHARED_OPS_REQUIRE_KERNELS='1')
    assert result.returncode == 1
    error = result.stderr.splitlines()[-1]
    assert re.match(rf'ImportError: SHARED_OPS_REQUIRE_KERNELS=1, but .* for cpu .*{reason}', error)
    assert 'SHARED_OPS_BUILD=cpu' in error


def test_required_kernels_of_another_device_are_an_error_when_used(monkeypatch) -> None:
    """Importing on a machine with a GPU is no reason to need its kernels; using it is."""
    monkeypatch.setitem(_library.failures, 'cuda', 'libshared_ops_cuda.so was not built')
    monkeypatch.setenv('SHARED_OPS_REQUIRE_KERNELS', '')
    warn = _library.warn_of_reference.__wrapped__  # which has not warned yet
    with pytest.warns(RuntimeWarning, match='plain PyTorch, .* serves on cuda: .* was not built'):
        warn('cuda')
    monkeypatch.setenv('SHARED_OPS_REQUIRE_KERNELS', '1')
    with pytest.raises(RuntimeError, match='REQUIRE_KERNELS=1, but the kernels of shared_ops for cuda are missing'):
        warn('cuda')


@pytest.mark.needs_kernels
def test_with_library_nothing_warns() -> None:
    result = run_python(['-c', USE], SHARED_OPS_REQUIRE_KERNELS='1')
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == '0'


@pytest.mark.needs_kernels
def test_report() -> None:
    result = run_python(['-m', 'shared_ops'])
    assert result.returncode == 0, result.stderr
    text = result.stdout
    assert f'shared_ops {shared_ops.__version__}' in text
    assert f'PyTorch {torch.__version__}' in text
    assert re.search(r'^libshared_ops_cpu.so +yes +SHARED_OPS_BUILD=\w+; headers of torch [\d.]+', text, flags=re.M)
    assert re.search(r'^ms_deform_attn +kernel \((AVX-512|AVX2|baseline)\)', text, flags=re.M)


def test_kernels_available_for_nothing_else() -> None:
    assert not shared_ops.kernels_available('mps')
    assert isinstance(shared_ops.kernels_available('cpu'), bool)


def undefined_symbols(path: Path) -> set[str]:
    """Read which symbols a 64-bit little-endian ELF library asks of others."""
    data = path.read_bytes()
    assert data[:6] == b'\x7fELF\x02\x01'
    start, size, count = *struct.unpack_from('<Q', data, 0x28), *struct.unpack_from('<HH', data, 0x3A)
    # name, type, flags, address, offset, size, link, info, alignment, entry size
    sections = [struct.unpack_from('<IIQQQQIIQQ', data, start + index * size) for index in range(count)]
    (symbols,) = [section for section in sections if section[1] == 11]  # SHT_DYNSYM
    names = sections[symbols[6]][4]
    undefined = set()
    for offset in range(symbols[4], symbols[4] + symbols[5], 24):
        name, _, _, section = struct.unpack_from('<IBBH', data, offset)
        if section == 0:
            undefined.add(data[names + name : data.index(b'\0', names + name)].decode())
    return undefined


@pytest.mark.parametrize(
    'device_type',
    [
        pytest.param('cpu', marks=pytest.mark.needs_kernels),
        pytest.param('cuda', marks=pytest.mark.needs_cuda_library),
    ],
)
def test_only_the_stable_abi_is_used(device_type: str) -> None:
    """No symbol of PyTorch's C++ interface, which changes with every release, and none of Python's."""
    symbols = undefined_symbols(library_path(device_type))
    assert 'torch_call_dispatcher' in symbols
    foreign = {s for s in symbols if re.search(r'c10|_ZN?K?2at|5torch|caffe2|^_?Py', s)}
    assert {s for s in foreign if not re.match(r'(aoti_)?torch_\w+$', s)} == set()


@pytest.mark.needs_cuda_library
def test_cuda_library_loads_where_pytorch_has_cuda() -> None:
    """A device is not needed for that."""
    assert shared_ops.kernels_available('cuda') == (torch.version.cuda is not None)


ASK = """
import shared_ops
print(shared_ops.kernels_available('cuda'), shared_ops._library.failures['cuda'])
"""


@pytest.mark.needs_cuda_library
@pytest.mark.skipif(torch.version.cuda is None, reason='PyTorch without CUDA loads no library for it')
@pytest.mark.parametrize('older', [0, 1])
def test_a_driver_that_is_too_old_is_told(tmp_path: Path, older: int) -> None:
    """Minor versions make no difference; plain PyTorch serves under an older major version."""
    library = ctypes.CDLL(str(library_path('cuda')))
    runtime = library.shared_ops_cuda_runtime() // 1000
    driver = (runtime - older) * 1000 + 10 * older
    source = tmp_path / 'driver.c'
    source.write_text(f'int cuDriverGetVersion(int* version) {{ *version = {driver}; return 0; }}')
    command = [*shlex.split(os.environ.get('CC', 'cc')), '-shared', '-fPIC', str(source)]
    subprocess.run([*command, '-o', str(tmp_path / 'libcuda.so.1')], check=True)
    result = run_python(['-c', ASK], LD_LIBRARY_PATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    if older:
        reason = rf'built with CUDA {runtime}\.\d, and the driver of this machine serves CUDA {runtime - 1}\.1: update'
        assert re.match(f'False libshared_ops_cuda.so was {reason}', result.stdout), result.stdout
    else:
        assert result.stdout == 'True None\n'
