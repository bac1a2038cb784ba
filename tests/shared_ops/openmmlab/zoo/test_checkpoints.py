"""From the name of a config to its checkpoint, and to what its training starts from."""

import io
import sys
import time
import types
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import CheckpointLoader

from shared_ops.openmmlab import prepare
from shared_ops.openmmlab.cli import main
from shared_ops.openmmlab.pretrained import read_pretrained
from shared_ops.openmmlab.zoo import DownloadError, checkpoint_of
from shared_ops.openmmlab.zoo.archives import unpack_checkpoint
from shared_ops.openmmlab.zoo.starts import (
    fetch_start_file,
    missing_start_files,
    published_address,
    published_hash,
    start_files,
)
from support.file_server import FileServer

prepare()
WEIGHTS = {
    'plain': 'https://github.com/owner/zoo/plain.pth.tar',
    'zipped': 'https://github.com/owner/zoo/zipped.zip',
    'shared': 'https://pan.baidu.com/s/1J?pwd=k6mf',
    'unpublished': None,
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package with four configs."""
    folder = tmp_path / 'configs'
    (folder / 'scenes').mkdir(parents=True)
    lines = ['Models:']
    for name, weights in WEIGHTS.items():
        (folder / 'scenes' / f'{name}.py').write_text(
            "model = dict(pretrained='pretrained/deit_tiny_patch16_224-a1311bcf.pth', backbone=dict())\n"
            "load_from = 'pretrained/zipped.pth'\n"
        )
        lines += [f'  - Name: {name}', '    In Collection: Toy']
        lines += [f'    Weights: {weights}'] if weights else []
    (folder / 'metafile.yml').write_text('\n'.join(lines))
    module = types.ModuleType('toy_models')
    module.CONFIG_DIR, module.__version__ = folder, '0'
    monkeypatch.setitem(sys.modules, 'toy_models', module)
    return 'toy_models'


@pytest.fixture
def mirror(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    monkeypatch.setenv('MMSEG_MIRROR', server.address)
    return server


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr('zipped.pth.tar', content)
    return file.getvalue()


@pytest.mark.parametrize('name', ['plain', 'scenes/plain', 'plain.py'])
def test_checkpoint_of(package: str, mirror: FileServer, cache: Path, name: str) -> None:
    for _ in range(2):
        path = checkpoint_of(package, name)
        assert path == cache / 'plain.pth.tar' and path.read_bytes() == mirror.content
    assert [path for path, _ in mirror.requests] == ['/owner/zoo/plain.pth.tar']


def test_the_packages_own_path_is_its_name(package: str, mirror: FileServer, cache: Path) -> None:
    config = sys.modules[package].CONFIG_DIR / 'scenes' / 'plain.py'
    assert checkpoint_of(package, str(config)) == cache / 'plain.pth.tar'


def test_archive(package: str, mirror: FileServer, cache: Path) -> None:
    content, mirror.content = mirror.content, zipped(mirror.content)
    for _ in range(2):
        path = checkpoint_of(package, 'zipped')
        assert path == cache / 'zipped.pth' and path.read_bytes() == content
    assert [path for path, _ in mirror.requests] == ['/owner/zoo/zipped.zip']
    assert list(cache.iterdir()) == [path]


def test_two_processes_unpack_one_archive(package: str, mirror: FileServer, cache: Path, monkeypatch) -> None:
    """The second comes while the first unpacks, and takes neither its archive nor its half-written file."""
    content, mirror.content = mirror.content, zipped(mirror.content)
    unpacked = []

    def slowly(archive: Path, target: Path) -> Path:
        unpacked.append(archive)
        time.sleep(0.2)
        return unpack_checkpoint(archive, target)

    monkeypatch.setattr('shared_ops.openmmlab.zoo.checkpoints.unpack_checkpoint', slowly)
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda name: checkpoint_of(package, name), ['zipped', 'zipped']))
    assert [path.read_bytes() for path in paths] == [content, content]
    assert len(unpacked) == len(mirror.requests) == 1
    assert list(cache.iterdir()) == [cache / 'zipped.pth']


def test_archive_that_somebody_brought(package: str, mirror: FileServer, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / 'zipped.zip').write_bytes(zipped(b'weights'))
    assert checkpoint_of(package, 'zipped').read_bytes() == b'weights'
    assert (cache / 'zipped.zip').exists() and not mirror.requests


def test_browser(package: str, server: FileServer, cache: Path) -> None:
    with pytest.raises(
        DownloadError, match=rf'enter the code k6mf, .*save it as {cache}/shared\.pth; the same command'
    ):
        checkpoint_of(package, 'shared')
    assert not server.requests
    # a mirror may have it
    path = checkpoint_of(package, 'shared', mirror=f'{server.address}/files/{{name}}')
    assert path == cache / 'shared.pth' and server.requests[0][0] == '/files/shared.pth'
    assert checkpoint_of(package, 'shared') == path


def test_nothing_published(package: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='the authors of Toy published no checkpoint of unpublished'):
        checkpoint_of(package, 'unpublished')
    (tmp_path / 'mine.py').touch()
    with pytest.raises(ValueError, match='is a file of your own'):
        checkpoint_of(package, str(tmp_path / 'mine.py'))
    with pytest.raises(ValueError, match='Did you mean plain'):
        checkpoint_of(package, 'plian')


def test_command(package: str, server: FileServer, cache: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / 'out'
    assert main(package, ['download', 'plain', '--out', str(out), '--mirror', server.address]) == 0
    assert capsys.readouterr().out == f'{out / "plain.pth.tar"}\n'
    assert main(package, ['download', 'shared']) == 2
    assert capsys.readouterr().err.startswith(f'python -m {package}: error: Baidu gives its files to browsers only')
    server.content = b'<html>'
    assert main(package, ['download', 'zipped', '--mirror', server.address]) == 2
    assert 'answers with a web page' in capsys.readouterr().err


def test_command_for_what_training_starts_from(
    package: str, mirror: FileServer, tmp_path: Path, capsys, monkeypatch
) -> None:
    """A model of another data set, out of its archive, where the config looks for it; a wrong classifier is refused."""
    monkeypatch.chdir(tmp_path)
    config = Config.fromfile(sys.modules[package].CONFIG_DIR / 'scenes' / 'plain.py')
    assert start_files(config) == ['pretrained/deit_tiny_patch16_224-a1311bcf.pth', 'pretrained/zipped.pth']
    assert missing_start_files(config) == start_files(config)
    assert main(package, ['download', 'plain', '--pretrained']) == 2
    assert 'its SHA-256' in capsys.readouterr().err
    (tmp_path / 'pretrained' / 'deit_tiny_patch16_224-a1311bcf.pth').write_bytes(b'brought')
    mirror.content = zipped(b'weights')
    assert main(package, ['download', 'plain', '--pretrained']) == 0
    assert capsys.readouterr().out.splitlines() == start_files(config)
    assert Path('pretrained/zipped.pth').read_bytes() == b'weights' and not missing_start_files(config)


def test_other_starts(package: str, mirror: FileServer, cache: Path, tmp_path: Path) -> None:
    config = ConfigDict(
        model=dict(pretrained='timm://deit', backbone=dict(init_cfg=dict(checkpoint='https://a.b/c.pth')))
    )
    assert start_files(config) == ['https://a.b/c.pth'] and not missing_start_files(config)
    assert fetch_start_file('https://a.b/c.pth', package) == cache / 'c.pth'
    assert fetch_start_file('https://a.b/c.pth', package, folder=tmp_path) == tmp_path / 'c.pth'
    with pytest.raises(ValueError, match=r'mine\.pth is not there, and is no file that was published'):
        fetch_start_file('mine.pth', package)
    assert published_address('mine.pth', package) is None
    assert published_hash('deit_tiny_patch16_224-a1311bcf.pth') == 'a1311bcf'
    assert published_hash('mine-20261125.pth') is None


def test_loaders_use_the_same_download(mirror: FileServer, cache: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr('time.sleep', lambda _: None)
    torch.save({'state_dict': {'weight': torch.arange(3)}}, tmp_path / 'w.pth')
    mirror.content = (tmp_path / 'w.pth').read_bytes()
    mirror.script = [mirror.breaking_off(100)]
    checkpoint = CheckpointLoader.load_checkpoint('https://a.example/w.pth', 'cpu')
    assert checkpoint['state_dict']['weight'].tolist() == [0, 1, 2]
    assert mirror.ranges() == [None, 'bytes=100-']
    assert read_pretrained('https://a.example/w.pth')['weight'].tolist() == [0, 1, 2]
    assert (cache / 'w.pth').is_file() and len(mirror.requests) == 2


def test_failed_download_says_how_to_start_otherwise(mirror: FileServer, cache: Path) -> None:
    mirror.content = b'<html>'
    with pytest.raises(RuntimeError, match=r'a web page.* or start from other weights: .*model\.pretrained=None'):
        read_pretrained('https://a.example/w.pth')
