"""What the built sdists and wheels hold, and whether the installed package works (nox -s dist).

Runs in an environment in which only ``mmseg-vit-adapter`` was asked for, by name, beside a folder of wheels.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIST = Path(os.environ['DIST_DIR'])
PACKAGES = ['internimage', 'vit_adapter', 'vit_comer']
CONFIG = 'upernet_deit_adapter_tiny_512_160k_ade20k'


def wheel_of(name: str) -> Path:
    (path,) = DIST.glob(f'mmseg_{name}-*.whl')
    return path


def sdist_of(name: str) -> Path:
    (path,) = DIST.glob(f'mmseg_{name}-*.tar.gz')
    return path


def names_in_wheel(name: str) -> set[str]:
    return set(zipfile.ZipFile(wheel_of(name)).namelist())


def names_in_sdist(name: str) -> set[str]:
    with tarfile.open(sdist_of(name)) as archive:
        members = archive.getnames()
    return {member.split('/', 1)[1] for member in members if '/' in member}


@pytest.mark.parametrize('name', ['shared_ops', *PACKAGES])
def test_metadata(name: str) -> None:
    wheel = zipfile.ZipFile(wheel_of(name))
    (metadata,) = [entry for entry in wheel.namelist() if entry.endswith('.dist-info/METADATA')]
    text = wheel.read(metadata).decode()
    assert re.search(r'^License-Expression: Apache-2.0$', text, flags=re.M)
    assert re.search(r'^Description-Content-Type: text/markdown', text, flags=re.M)
    assert any(re.search(r'\.dist-info/licenses/LICENSE$', entry) for entry in wheel.namelist())
    assert f'{name}/py.typed' in wheel.namelist()


@pytest.mark.parametrize('name', PACKAGES)
def test_configs_travel_whole(name: str) -> None:
    """Sdist and wheel hold every config of the checkout, shared bases included; the wheel nothing more."""
    folder = ROOT / 'configs' / name
    files = [Path(top, file) for top, _, found in os.walk(folder, followlinks=True) for file in found]
    expected = {str(path.relative_to(folder)) for path in files if path.suffix in {'.py', '.yml'}}
    prefix = f'{name}/configs/'
    in_wheel = {entry[len(prefix) :] for entry in names_in_wheel(name) if entry.startswith(prefix)}
    assert in_wheel == expected
    in_sdist = {entry.split(prefix)[1] for entry in names_in_sdist(name) if prefix in entry}
    assert expected <= in_sdist


def test_shared_ops_ships_libraries_and_sources() -> None:
    tag = wheel_of('shared_ops').stem.split('-', 2)[2]
    assert tag.startswith('cp310-abi3-'), f'one wheel for every Python from 3.10 on was expected, not {tag}'
    libraries = {entry for entry in names_in_wheel('shared_ops') if entry.endswith('.so')}
    assert libraries == {'shared_ops/libshared_ops_cpu.so', 'shared_ops/libshared_ops_cuda.so'}
    sources = [path for path in (ROOT / 'shared_ops' / 'csrc').rglob('*') if path.is_file()]
    checkout = {str(path.relative_to(ROOT / 'shared_ops')) for path in sources}
    assert checkout <= names_in_sdist('shared_ops')


def nvcc(*options: str) -> str:
    return subprocess.run(['nvcc', *options], capture_output=True, text=True, check=True).stdout


def test_cuda_library_has_code_for_every_architecture_of_its_toolkit(tmp_path: Path) -> None:
    """Real code from the oldest that nvcc knows to Blackwell, PTX for what comes; and it says which toolkit made it."""
    library = zipfile.ZipFile(wheel_of('shared_ops')).extract('shared_ops/libshared_ops_cuda.so', tmp_path)
    (tool,) = [file for file in importlib.metadata.files('nvidia-cuda-cuobjdump') if file.name == 'cuobjdump']

    def listed(kind: str) -> Counter[str]:
        """Count what there is code for: each source file gives a piece for each."""
        command = [str(tool.locate()), f'--list-{kind}', library]
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return Counter(re.findall(r'\.(sm_\d+)\.', names))

    known = nvcc('--list-gpu-code').split()
    assert len(known) > 5
    promised = {name for name in ('sm_70', 'sm_75', 'sm_80', 'sm_86', 'sm_90', 'sm_100', 'sm_120') if name in known}
    assert {'sm_75', 'sm_80', 'sm_86', 'sm_90', 'sm_100', 'sm_120'} <= promised
    files = len(list((ROOT / 'shared_ops' / 'csrc' / 'cuda').glob('*.cu')))
    elf = listed('elf')
    # the linker adds one for the oldest
    assert set(elf) == promised and {elf[name] - files for name in promised} <= {0, 1}
    assert listed('ptx') == {'sm_100': files}
    made_with = re.search(rb'SHARED_OPS_BUILD=[ -~]+', Path(library).read_bytes()).group().decode()
    toolkit = re.search(r'cuda_(\d+)\.', nvcc('--version').splitlines()[-1]).group(1)
    assert f'cuda_{toolkit}.' in made_with
    assert 'queries together' in made_with
    # and the page which drivers that means
    page = ' '.join((ROOT / 'shared_ops' / 'README.md').read_text(encoding='utf-8').split())
    drivers = {'12': '525', '13': '580'}[toolkit]
    assert re.search(rf'built with CUDA {toolkit} (it needs a driver|one) from {drivers} on', page)


def test_platform_of_the_wheel_is_true() -> None:
    """The tag names the oldest glibc on which the libraries load; nothing but PyTorch's own libraries is missing."""
    wheel = wheel_of('shared_ops')
    command = [sys.executable, '-m', 'auditwheel', 'show', '--json', str(wheel)]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    audit = json.loads(shown.stdout)
    platform = wheel.stem.split('-')[4]
    assert all(name.startswith('manylinux') for name in platform.split('.')), platform
    assert audit['sym_tag'] in platform.split('.')
    assert set(audit['external_libs']) <= {'libtorch_cpu.so', 'libtorch_cuda.so'}
    assert not audit['unsupported_isa'], 'a processor without AVX2 must be able to load the library'
    # a copied library would lie in a folder *.libs, and could be another one than PyTorch's
    assert not [entry for entry in names_in_wheel('shared_ops') if '.libs/' in entry]


def test_wheels_hold_no_tests_and_no_other_package() -> None:
    for name in ['shared_ops', *PACKAGES]:
        tops = {entry.split('/')[0] for entry in names_in_wheel(name)}
        assert {top for top in tops if not top.endswith('.dist-info')} == {name}


def test_only_what_was_asked_for_is_installed() -> None:
    ours = {d.metadata['Name'] for d in importlib.metadata.distributions() if d.metadata['Name'].startswith('mmseg-')}
    assert ours == {'mmseg-shared-ops', 'mmseg-vit-adapter'}
    assert not Path(importlib.util.find_spec('vit_adapter').origin).is_relative_to(ROOT / 'packages')


def run_python(script: str, folder: Path) -> str:
    result = subprocess.run([sys.executable, '-c', script], cwd=folder, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_checkout_and_wheel_give_the_same_configs(tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
import vit_adapter
from mmengine import Config
checkout = Path({str(ROOT / 'configs' / 'vit_adapter')!r})
names = sorted(str(p.relative_to(checkout)) for p in checkout.glob('[!_]*/*.py'))
assert names
for name in names:
    ours, theirs = Config.fromfile(checkout / name), Config.fromfile(vit_adapter.CONFIG_DIR / name)
    assert ours.to_dict() == theirs.to_dict(), name
print(len(names))
"""
    assert int(run_python(script, tmp_path)) > 0


def test_mmseg_test_tool_on_one_picture(tmp_path: Path) -> None:
    """MMSegmentation's own tools/test.py, a config of the installed package, a checkpoint, one picture."""
    script = f"""
import cv2, numpy as np, torch, vit_adapter
from pathlib import Path
from mmengine import Config
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
register_all_modules()
path = vit_adapter.CONFIG_DIR / 'ade20k' / '{CONFIG}.py'
config = Config.fromfile(path)
torch.save(MODELS.build(config.model).state_dict(), 'random.pth')
for kind, suffix, shape in [('images', 'jpg', (4, 6, 3)), ('annotations', 'png', (4, 6))]:
    folder = Path('data/ade/ADEChallengeData2016', kind, 'validation')
    folder.mkdir(parents=True)
    small = np.random.RandomState(0).randint(0, 151, shape).astype(np.uint8)
    picture = cv2.resize(small, (96, 64), interpolation=cv2.INTER_NEAREST)
    cv2.imwrite(str(folder / f'scene.{{suffix}}'), picture)
print(path)
"""
    config = run_python(script, tmp_path).strip().splitlines()[-1]
    tool = Path(importlib.util.find_spec('mmseg').origin).parent / '.mim' / 'tools' / 'test.py'
    result = subprocess.run(
        [sys.executable, str(tool), config, 'random.pth', '--work-dir', 'work'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r'mIoU: \d', result.stdout + result.stderr)


def test_sdist_without_a_compiler_gives_a_wheel_without_kernels(tmp_path: Path) -> None:
    """It installs all the same, says what is missing, and computes in plain PyTorch with one warning."""
    environment = os.environ | {'SHARED_OPS_BUILD': 'auto', 'CXX': str(tmp_path / 'no-such-compiler')}
    command = ['uv', 'build', '--wheel', '--out-dir', str(tmp_path), str(sdist_of('shared_ops'))]
    build = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert build.returncode == 0, build.stderr
    assert 'the cpu kernels are left out' in build.stdout + build.stderr
    (wheel,) = tmp_path.glob('*.whl')
    assert wheel.name.endswith('-py3-none-any.whl')

    zipfile.ZipFile(wheel).extractall(tmp_path / 'site')
    script = """
import warnings, torch, shared_ops
assert shared_ops.__file__.startswith({site!r})
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    for _ in range(2):
        offset, mask = torch.zeros(1, 4, 5, 54), torch.ones(1, 4, 5, 27)
        shared_ops.dcnv3(torch.rand(1, 4, 5, 6), offset, mask, 3, padding=1, groups=3)
(warning,) = [entry for entry in caught if 'shared_ops' in str(entry.message)]
assert 'libshared_ops_cpu.so was not built' in str(warning.message)
"""
    used = subprocess.run(
        [sys.executable, '-c', script.format(site=str(tmp_path / 'site'))],
        env=os.environ | {'PYTHONPATH': str(tmp_path / 'site')}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert used.returncode == 0, used.stderr
