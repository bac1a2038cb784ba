"""Published checkpoints by the names of configs, through a mirror on the loopback address."""

from collections.abc import Iterator
from pathlib import Path

import vit_adapter  # noqa: F401

import pytest
import torch

from shared_ops.openmmlab.cli import main, tools
from support.file_server import FileServer

CONFIG = 'upernet_deit_adapter_tiny_512_160k_ade20k'
# as the authors spell it
FILE = 'upernet_deit_adapter_tiny_512_160_ade20k.pth.tar'


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    server = FileServer(b'weights', {'ETag': '"1"'})
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setenv('MMSEG_MIRROR', server.address)
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tools, 'check_data', lambda *_: None)
    yield server
    server.close()


def test_download(mirror: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main('vit_adapter', ['download', f'ade20k/{CONFIG}']) == 0
    assert capsys.readouterr().out == f'{tmp_path / "checkpoints" / FILE}\n'
    assert mirror.requests[0][0] == f'/czczup/ViT-Adapter/releases/download/v0.3.1/{FILE}'


def test_test_without_checkpoint_takes_the_published_one(
    mirror: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(tools, '_run', lambda _, arguments: ran.append(arguments[2:]))
    published = str(tmp_path / 'checkpoints' / FILE)
    for arguments in ([], ['--tta'], ['mine.pth', '--tta'], ['--tta', 'mine.pth']):
        assert main('vit_adapter', ['test', CONFIG, *arguments]) == 0
    assert ran == [[published], [published, '--tta'], ['mine.pth', '--tta'], ['--tta', 'mine.pth']]
    assert len(mirror.requests) == 1


def test_training_without_its_start_names_the_command(mirror: FileServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main('vit_adapter', ['train', CONFIG]) == 2
    error = capsys.readouterr().err
    assert 'pretrained/deit_tiny_patch16_224-a1311bcf.pth, which the training starts from, does not exist' in error
    assert f'python -m vit_adapter download {CONFIG} --pretrained' in error


def test_resumed_training_needs_no_other_model(mirror: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, '_run', lambda *_: None)
    config = 'mask2former_beit_adapter_large_896_80k_cityscapes_ss'
    changes = ['--cfg-options', 'model.pretrained=None']
    assert main('vit_adapter', ['train', config, *changes]) == 2
    assert main('vit_adapter', ['train', config, '--resume', *changes]) == 0
