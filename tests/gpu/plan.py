"""What the two halves of the run do, the most telling first, and how long each stage may take."""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from stages import Stages

ROOT = Path(__file__).parents[2]
HERE = Path('tests', 'gpu')
# Of each half, so that both, with what lies between them, end within ten minutes.
SECONDS = 285
PYTHON = sys.executable
# Before a limit, for the benchmark to end by itself.
MARGIN = 12
BENCHMARK = [
    PYTHON, 'shared_ops/benchmarks', '--cases', 'gpu', '--precisions', 'float32', 'bfloat16-points32', '--batches', '1',
    '--no-memory', '--no-scaling',
]  # fmt: skip
# Tests of the operators that are for a CUDA device, but for the one that needs gigabytes; for a dry run, some others.
HUGE = 'two_to_the_31'
TESTS = {
    'cuda': ['tests/shared_ops/ops', '-k', f'cuda and not {HUGE}'],
    'cpu': ['tests/shared_ops/ops/test_sizes.py', '-k', 'not cuda'],
}
PROCESSES = {'cuda': '8', 'cpu': '2'}
METRICS = (
    'gpu__time_duration.sum', 'l1tex__t_sector_hit_rate.pct', 'lts__t_sectors_op_read.sum', 'lts__t_sectors_op_red.sum',
    'dram__bytes.sum', 'sm__inst_executed.avg.per_cycle_active',
    'sm__warps_active.avg.pct_of_peak_sustained_active',
)  # fmt: skip


@dataclass(frozen=True)
class Folders:
    """Where things lie.

    Attributes:
        bundle: what was packed for a machine without a network.
        out: of the results.
        work: of what is unpacked and built there.
    """

    bundle: Path
    out: Path
    work: Path

    @property
    def site(self) -> Path:
        """The folder that the wheels are installed into."""
        return self.work / 'site'

    def variables(self) -> dict[str, str]:
        """Return the environment of all stages."""
        # the peers first: of one there is a wheel as well, without its compiled part
        path = [self.bundle / 'peers', self.site, ROOT / 'tests']
        found = {
            'PYTHONPATH': ':'.join(map(str, path)),
            'PYTHONUNBUFFERED': '1',
            'SHARED_OPS_REQUIRE_KERNELS': '1',
        }
        if not Path(sysconfig.get_path('include'), 'Python.h').exists():
            # Triton compiles against Python's headers, which an interpreter may come without
            found['CPATH'] = str(self.bundle / 'include')
        return found


def script(name: str, device: str) -> list[str]:
    """Return the command of a script beside this file."""
    return [PYTHON, str(HERE / name), '--device', device]


def install(wheels: Path, folder: Path) -> list[str]:
    """Return the command that unpacks wheels into a folder of their own."""
    options = ['--quiet', '--no-index', '--no-deps', '--no-compile', '--upgrade', '--target', str(folder)]
    return [PYTHON, '-m', 'pip', 'install', *options, *sorted(map(str, wheels.glob('*.whl')))]


def prepare(stages: Stages, folders: Folders, device: str) -> None:
    """Unpack the bundle; build the library anew where the one that was brought does not run."""
    ask = '"$0" -m pip list'
    if device == 'cuda':
        ask = f'nvidia-smi; {ask}; nvcc --version && compute-sanitizer --version && ncu --version'
    stages.run('environment', 20, ['bash', '-c', ask, PYTHON])
    stages.run('wheels', 60, install(folders.bundle / 'wheels', folders.site))
    if stages.run('library', 40, script('loads.py', device)) or device == 'cpu':
        return
    places = ['--build-lib', str(folders.site), '--build-temp', str(folders.work / 'build')]
    build = ['env', '-C', 'shared_ops', PYTHON, 'setup.py', 'build_ext', *places]
    stages.run('build', 170, build, SHARED_OPS_BUILD='cuda', SHARED_OPS_CUDA_ARCHS='90')
    stages.run('library once more', 40, script('loads.py', device))


def run_tests(stages: Stages, name: str, limit: float, folders: Folders, device: str, *arguments: str) -> None:
    """Run pytest; whatever skips fails."""
    path = f'{folders.variables()["PYTHONPATH"]}:{ROOT / HERE}'
    plugins = ['-p', 'no:cacheprovider', '-p', 'xdist', '-p', 'outcomes']
    command = [PYTHON, '-m', 'pytest', '--quiet', *plugins, '--outcomes', str(folders.out / 'tests.jsonl'), *arguments]
    required = ['REQUIRE_KERNELS', *(['REQUIRE_CUDA', 'REQUIRE_CUDA_LIBRARY'] if device == 'cuda' else [])]
    # others that happen to be installed have no say
    variables = dict.fromkeys(('PYTEST_DISABLE_PLUGIN_AUTOLOAD', 'OMP_NUM_THREADS', *required), '1')
    stages.run(name, limit, command, PYTHONPATH=path, **variables)


def right(stages: Stages, folders: Folders, device: str) -> None:
    """Is every number right?"""
    spread = ['--numprocesses', PROCESSES[device], '--dist', 'worksteal', '--max-worker-restart', '20']
    run_tests(stages, 'tests', 120, folders, device, *spread, *TESTS[device])
    if device == 'cuda':
        huge = ['tests/shared_ops/ops/test_cuda.py', '-k', HUGE]
        run_tests(stages, 'more than 2^31 numbers', 40, folders, device, *huge)
    # tiny models on several threads wait for one another
    threads = {'OMP_NUM_THREADS': '1'} if device == 'cpu' else {}
    stages.run('models', 100, [*script('models.py', device), '--out', str(folders.out / 'models.jsonl')], **threads)
    if device == 'cpu':
        stages.run('small cases', 60, script('small_cases.py', device))
        return
    for tool in ('memcheck', 'racecheck', 'synccheck'):
        # PyTorch's own kernels are not looked at, and its allocator does not hide where a tensor ends
        watch = ['compute-sanitizer', '--tool', tool, '--kernel-name', 'kernel_substring=shared_ops']
        watch += ['--error-exitcode', '7', '--launch-timeout', '60', '--destroy-on-device-error', 'kernel']
        stages.run(tool, 45, [*watch, *script('small_cases.py', device)], PYTORCH_NO_CUDA_MEMORY_CACHING='1')


def benchmark(stages: Stages, name: str, limit: float, device: str, out: Path, *options: str, **variables: str) -> None:
    """Run the benchmark, which stops by itself before the limit."""
    seconds = max(1, int(stages.cut(limit) - MARGIN))
    tiny = ['--quick'] if device == 'cpu' else []
    bounded = [*BENCHMARK, '--device', device, *tiny, '--seconds', str(seconds)]
    stages.run(name, limit, [*bounded, *options, '--out', str(out)], **variables)
    # the picture, where Matplotlib drew one, shows nothing that the lines do not say
    (out / f'{device}.png').unlink(missing_ok=True)


def fast(stages: Stages, folders: Folders, device: str) -> None:
    """How fast is it, beside others, beside the other order of the work, and beside what the device can do?"""
    benchmark(stages, 'timings', 130, device, folders.out)
    other = folders.work / 'other_order'
    stages.run('wheel of the other order', 30, install(folders.bundle / 'other_order', other))
    path, alone = f'{other}:{folders.variables()["PYTHONPATH"]}', ('--implementations', 'ours')
    benchmark(stages, 'other order', 60, device, folders.out / 'other_order', *alone, PYTHONPATH=path)
    if device == 'cpu':
        stages.run('kernels once', 60, script('kernels_once.py', device))
        return
    measure = ['bash', '-c', 'set -o pipefail; "$0" | tee "$1"', ceilings(stages, folders)]
    stages.run('ceilings', 20, [*measure, str(folders.out / 'ceilings.jsonl')])
    count = ['ncu', '--clock-control', 'none', '--kernel-name-base', 'demangled', '--kernel-name', 'regex:shared_ops']
    count += ['--nvtx', '--print-nvtx-rename', 'kernel', '--metrics', ','.join(METRICS), '--page', 'raw']
    count += ['--csv', '--print-units', 'base', '--log-file', str(folders.out / 'counters.csv')]
    stages.run('counters', 60, [*count, *script('kernels_once.py', device)])


def ceilings(stages: Stages, folders: Folders) -> str:
    """Return the program that measures what the device can do, compiled here unless it was brought."""
    brought, built = folders.bundle / 'ceilings', folders.work / 'ceilings'
    if brought.exists():
        return str(brought)
    source = 'shared_ops/benchmarks/ceilings.cu'
    stages.run('build of the ceilings', 40, ['nvcc', '-O3', '-std=c++20', '-arch=native', '-o', str(built), source])
    return str(built)
