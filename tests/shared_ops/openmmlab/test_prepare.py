"""The stand-in for MMCV's compiled module, and what is said of an installation that cannot work."""

import importlib.metadata
import importlib.util
import subprocess
import sys

import pytest

from shared_ops.openmmlab import prepare
from shared_ops.openmmlab.installation import check_installation

NEEDED = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmsegmentation': '1.4.2'}
has_real_ops = importlib.util.find_spec('mmcv._ext') is not None and 'stand-in' not in str(
    importlib.util.find_spec('mmcv._ext').origin
)


def python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)


def pretend_installed(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr('shared_ops.openmmlab.installation.version', version)


def test_twice_is_once() -> None:
    prepare()
    before = list(sys.meta_path)
    prepare()
    assert sys.meta_path == before


@pytest.mark.skipif(has_real_ops, reason='this MMCV is compiled, so nothing stands in for it')
def test_compiled_ops_import_and_raise_when_called() -> None:
    result = python("""
from shared_ops.openmmlab import prepare
prepare()
import mmcv.ops, mmseg.models, importlib.util, inspect
spec = importlib.util.find_spec('mmcv._ext')
assert spec.origin == 'stand-in', spec
import mmcv._ext
inspect.unwrap(mmcv._ext)
assert not hasattr(mmcv._ext, '__file__')
try:
    mmcv._ext.nms(1, 2, three=3)
except RuntimeError as error:
    print(error)
""")
    assert result.returncode == 0, result.stderr
    assert "MMCV's operator nms was called" in result.stdout
    assert 'install a compiled mmcv' in result.stdout


def test_a_real_module_wins() -> None:
    result = python("""
import importlib.abc, importlib.machinery, sys, types
class Real(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self, origin='real') if name == 'mmcv._ext' else None
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        module.nms = lambda: 'compiled'
from shared_ops.openmmlab.compiled_ops import install_stand_in
install_stand_in()
sys.meta_path.insert(-1, Real())  # before the stand-in, as the finder of files is
import mmcv._ext
print(mmcv._ext.nms())
""")
    assert result.stdout.strip() == 'compiled', result.stderr


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6'})
    with pytest.raises(ImportError, match=r'mmseg is not installed.*pip install .*onedl-mmsegmentation'):
        check_installation()


@pytest.mark.parametrize('original', [{'mmengine': '0.10.7'}, {'mmcv-lite': '2.1.0'}, {'mmdet': '3.3.0'}])
def test_two_lines_over_each_other(monkeypatch: pytest.MonkeyPatch, original: dict[str, str]) -> None:
    pretend_installed(monkeypatch, {**NEEDED, 'onedl-mmdetection': '3.5.1', **original})
    ((name, version),) = original.items()
    with pytest.raises(ImportError, match='installed over each other') as error:
        check_installation()
    message = str(error.value)
    assert f'{name} {version}' in message
    assert 'pip uninstall -y' in message
    assert name in message.split('pip uninstall -y')[1].split('pip install')[0]
    assert f'pip install onedl-{name.replace("-lite", "").replace("mmdet", "mmdetection")}' in message


@pytest.mark.parametrize('versions', [NEEDED, {'mmengine': '0.10.7', 'mmcv-lite': '2.1.0', 'mmsegmentation': '1.2.2'}])
def test_either_line_is_fine(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    pretend_installed(monkeypatch, versions)
    check_installation()


def test_entries_of_mmseg_are_left_alone() -> None:
    result = python("""
from shared_ops.openmmlab import prepare
prepare()
import mmseg.datasets, mmseg.engine, mmseg.models
from mmseg.registry import DATASETS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS, TRANSFORMS
for registry, name in [(MODELS, 'EncoderDecoder'), (MODELS, 'Mask2FormerHead'), (DATASETS, 'PotsdamDataset'),
                       (OPTIM_WRAPPER_CONSTRUCTORS, 'LayerDecayOptimizerConstructor'),
                       (TRANSFORMS, 'ResizeToMultiple')]:
    assert registry.get(name).__module__.startswith('mmseg.'), registry.get(name)
""")
    assert result.returncode == 0, result.stderr
