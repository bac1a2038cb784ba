"""Packs what a GPU machine without a network needs for the run; ``nox -s gpu_bundle`` builds the wheels and calls it.

It runs in an environment that has what the GPU machine has: whatever else is needed travels, in wheels for its Python
and its C library. Needs uv, nvcc and git.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLATFORMS = [f'manylinux_2_{minor}_x86_64' for minor in (28, 27, 24, 17, 12, 5)]
NEEDS = ('pytest>=8', 'pytest-xdist>=3.6', 'hypothesis>=6.100', 'rich', 'deformops==3.0.1')
EXTRAS = {'mmseg-shared-ops': '[openmmlab,vit,mask2former]'}
# Asked for by OpenMMLab, and not missed: the machine has OpenCV as opencv-python-headless, and no config of ours uses
# the others, which would bring all of scikit-image and numba.
LEFT_OUT = ('opencv-python', 'imaug', 'imagecorruptions-imaug')
# What is carried there with the repository may weigh so much.
LARGEST = 50_000_000


def run(*command: str) -> str:
    """Run a command; return what it prints."""
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def requirement(wheel: Path) -> str:
    """Return what asks for a wheel of ours by its place, with its extras."""
    name = wheel.name.split('-')[0].replace('_', '-')
    return f'{name}{EXTRAS.get(name, "")} @ {wheel.resolve().as_uri()}'


def missing(wheels: list[Path]) -> list[str]:
    """Return what our wheels and the run need and this environment lacks, with versions."""
    has = [line for line in run('uv', 'pip', 'freeze', '--python', sys.executable).splitlines() if '==' in line]
    files = {
        'wanted': [*map(requirement, wheels), *NEEDS],
        'constraint': has,
        'override': [f"{name} ; python_version < '3'" for name in LEFT_OUT],
    }
    with tempfile.TemporaryDirectory() as scratch:
        paths = {name: Path(scratch, f'{name}.txt') for name in files}
        for name, lines in files.items():
            paths[name].write_text('\n'.join(lines), encoding='utf-8')
        options = [word for name in ('constraint', 'override') for word in (f'--{name}', str(paths[name]))]
        platform = ('--python-version', '3.12', '--python-platform', 'x86_64-manylinux_2_28')
        shape = ('--quiet', '--no-header', '--no-annotate')
        found = run('uv', 'pip', 'compile', *shape, *platform, *options, str(paths['wanted'])).splitlines()
    return [line for line in found if '==' in line and line not in has]


def download(requirements: list[str], folder: Path) -> None:
    """Put wheels into a folder, those of OpenMMLab built from sources, which is all that it publishes of some."""
    source = [line for line in requirements if line.startswith('onedl-')]
    binary = [line for line in requirements if line not in source]
    pip = (sys.executable, '-m', 'pip', '--disable-pip-version-check', '--quiet')
    platforms = [word for platform in PLATFORMS for word in ('--platform', platform)]
    run(*pip, 'download', '--no-deps', '--only-binary', ':all:', *platforms, '--dest', str(folder), *binary)
    run(*pip, 'wheel', '--no-deps', '--wheel-dir', str(folder), *source)


def weigh(bundle: Path) -> None:
    """Say what is carried.

    Raises:
        SystemExit: it is too much.
    """
    tracked = [ROOT / name for name in run('git', 'ls-files', '-z').split('\0') if name]
    sizes = {'the repository': sum(os.lstat(path).st_size for path in tracked)}
    for part in sorted(bundle.iterdir()):
        files = [part] if part.is_file() else [path for path in part.rglob('*') if path.is_file()]
        sizes[f'{bundle.name}/{part.name}'] = sum(path.stat().st_size for path in files)
    for name, size in sizes.items():
        print(f'{name}: {size / 1e6:.1f} MB')
    whole = sum(sizes.values())
    print(f'together: {whole / 1e6:.1f} MB')
    if whole > LARGEST:
        raise SystemExit(f'{whole / 1e6:.1f} MB are more than the {LARGEST / 1e6:.0f} MB that can be carried')


def main() -> None:
    """Pack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('bundle', type=Path, help='folder, which is made anew')
    parser.add_argument('--wheels', type=Path, nargs='+', required=True, help='ours')
    parser.add_argument('--other-order', type=Path, required=True, help='the wheel of shared_ops with that order')
    parser.add_argument('--peers', type=Path, required=True, help='what build_peers.py made')
    parser.add_argument('--arch', required=True, help='compute capability of the GPU, such as 90')
    arguments = parser.parse_args()
    bundle = arguments.bundle.resolve()
    shutil.rmtree(bundle, ignore_errors=True)
    for folder, files in (('wheels', arguments.wheels), ('other_order', [arguments.other_order])):
        (bundle / folder).mkdir(parents=True)
        for file in files:
            shutil.copy(file, bundle / folder)
    download(missing(arguments.wheels), bundle / 'wheels')
    shutil.copytree(arguments.peers, bundle / 'peers')
    # Triton compiles against Python's headers, which an interpreter may come without
    shutil.copytree(sysconfig.get_path('include'), bundle / 'include')
    ceilings = ('-o', str(bundle / 'ceilings'), 'shared_ops/benchmarks/ceilings.cu')
    run('nvcc', '-O3', '-std=c++20', f'-arch=sm_{arguments.arch}', *ceilings)
    weigh(bundle)


if __name__ == '__main__':
    main()
