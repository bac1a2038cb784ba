"""Archives as people publish them, and as nobody should trust them."""

import stat
import zipfile
from pathlib import Path

import pytest
import torch

from shared_ops.openmmlab.zoo.archives import unpack_checkpoint
from shared_ops.openmmlab.zoo.errors import DownloadError


def archive(folder: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(folder / 'model.zip', 'w', zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return folder / 'model.zip'


def refusal(path: Path) -> str:
    """Return why an archive is refused; nothing is left of it then, here or elsewhere."""
    before = sorted(path.parent.parent.rglob('*'))
    with pytest.raises(DownloadError) as caught:
        unpack_checkpoint(path, path.parent / 'target.pth')
    assert sorted(path.parent.parent.rglob('*')) == before
    return str(caught.value)


@pytest.mark.parametrize(
    'others',
    [
        [],
        [('readme.txt', b'read me'), ('logs/', b'')],
        [('__MACOSX/._model.pth.tar', b'of the Finder')],
        [('another.pth', b'not named like the archive')],
    ],
)
def test_the_checkpoint_is_found(tmp_path: Path, others: list[tuple[str, bytes]]) -> None:
    path = archive(tmp_path, *others, ('some/folder/model.pth.tar', b'weights'))
    assert unpack_checkpoint(path, tmp_path / 'target.pth').read_bytes() == b'weights'
    assert sorted(each.name for each in tmp_path.iterdir()) == ['model.zip', 'target.pth']


def test_checkpoint_that_was_only_renamed(tmp_path: Path) -> None:
    torch.save({'weight': torch.arange(3)}, tmp_path / 'model.zip')
    target = unpack_checkpoint(tmp_path / 'model.zip', tmp_path / 'target.pth')
    assert torch.load(target)['weight'].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    'name', ['../../model.pth', '/tmp/model.pth', 'a/../../b/model.pth', 'C:\\model.pth', '..\\model.pth']
)
def test_paths_that_lead_out(tmp_path: Path, name: str) -> None:
    assert 'outside of its folder' in refusal(archive(tmp_path, ('good.pth', b'weights'), (name, b'evil')))


@pytest.mark.parametrize('kind', [stat.S_IFLNK, stat.S_IFCHR])
def test_links_and_devices(tmp_path: Path, kind: int) -> None:
    link = zipfile.ZipInfo('model.pth')
    link.create_system, link.external_attr = 3, (kind | 0o777) << 16
    assert 'is a link or a device' in refusal(archive(tmp_path, (link, b'/etc/passwd')))


def test_bomb(tmp_path: Path) -> None:
    assert '10000000 bytes unpacked, out of an archive of' in refusal(archive(tmp_path, ('model.pth', bytes(10**7))))


def test_encrypted(tmp_path: Path) -> None:
    path = archive(tmp_path, ('model.pth', b'weights'))
    content = bytearray(path.read_bytes())
    content[content.index(b'PK\x01\x02') + 8] |= 1
    path.write_bytes(content)
    assert 'is encrypted' in refusal(path)


def test_none_or_several(tmp_path: Path) -> None:
    assert 'holds no checkpoint' in refusal(archive(tmp_path, ('readme.txt', b'')))
    assert 'several checkpoints: a.pth, b.pth' in refusal(archive(tmp_path, ('a.pth', b''), ('b.pth', b'')))


def test_damaged(tmp_path: Path) -> None:
    path = archive(tmp_path, ('model.pth', torch.rand(5000).numpy().tobytes()))
    content = bytearray(path.read_bytes())
    path.write_bytes(content[:-100])
    assert 'is no archive, or is damaged' in refusal(path)
    content[2000] ^= 0xFF
    path.write_bytes(content)
    assert 'is no archive, or is damaged' in refusal(path)


def test_length_that_is_a_lie(tmp_path: Path) -> None:
    """The directory says 7 bytes; what comes after them is not written."""
    path = archive(tmp_path, ('model.pth', b'weights and much more'))
    content = bytearray(path.read_bytes())
    size = content.index(b'PK\x01\x02') + 24
    content[size : size + 4] = (7).to_bytes(4, 'little')
    path.write_bytes(content)
    assert 'damaged' in refusal(path)


def test_disk_that_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path, ('model.pth', b'weights'))
    monkeypatch.setattr('shutil.disk_usage', lambda _: type('Usage', (), {'free': 6}))
    message = refusal(path)
    monkeypatch.undo()
    assert 'target.pth needs 0 MB' in message
