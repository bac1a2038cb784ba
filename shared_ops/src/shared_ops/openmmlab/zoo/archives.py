"""Checkpoints that are published in ``.zip`` archives.

Nothing of an archive decides where something is written: one member is chosen, and copied to the name that the caller
gives. An archive that tries something all the same is refused as a whole.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..files import CHECKPOINTS, whole
from .errors import DownloadError

# Weights can hardly be compressed. What shrank more than this is made to fill the disk.
_MOST_COMPRESSED = 30
_ENCRYPTED = 0x1


def unpack_checkpoint(archive: Path, target: Path) -> Path:
    """Copy the checkpoint out of an archive.

    A file of PyTorch is an archive itself; where it was only named ``.zip``, all of it is the checkpoint.

    Args:
        archive: a ``.zip`` file.
        target: where the checkpoint is written; it appears there complete or not at all.

    Returns:
        ``target``.

    Raises:
        DownloadError: the archive is damaged, holds no checkpoint or several, or something that it should not.
    """
    try:
        with zipfile.ZipFile(archive) as opened, whole(target) as unfinished:
            if _is_checkpoint_itself(opened):
                shutil.copyfile(archive, unfinished)
            else:
                member = _choose(opened, archive)
                _check_space(member, target)
                with opened.open(member) as source, unfinished.open('wb') as file:
                    shutil.copyfileobj(source, file, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DownloadError(
            f'{archive} is no archive, or is damaged ({error}); remove it and download it again'
        ) from error
    except OSError as error:
        raise DownloadError(
            f'{target} cannot be written: {error.strerror}; make room, or name another folder'
        ) from error
    return target


def _is_checkpoint_itself(opened: zipfile.ZipFile) -> bool:
    return any(PurePosixPath(name).name == 'data.pkl' for name in opened.namelist())


def _choose(opened: zipfile.ZipFile, archive: Path) -> zipfile.ZipInfo:
    members = opened.infolist()
    for member in members:
        _check_harmless(member, archive)
    # '__MACOSX/._x.pth' is what the Finder adds to every 'x.pth'
    found = [
        member
        for member in members
        if member.filename.endswith(CHECKPOINTS) and not PurePosixPath(member.filename).name.startswith('.')
    ]
    named_alike = [each for each in found if PurePosixPath(each.filename).name.split('.')[0] == archive.stem]
    if len(found) > 1 and len(named_alike) == 1:
        found = named_alike
    if len(found) != 1:
        names = ', '.join(member.filename for member in (found or members)[:10])
        what = 'several checkpoints' if found else f'no checkpoint ({", ".join(CHECKPOINTS)})'
        raise DownloadError(f'{archive} holds {what}: {names}; unpack the one that is wanted and name it yourself')
    return found[0]


def _check_harmless(member: zipfile.ZipInfo, archive: Path) -> None:
    name = member.filename
    path, windows = PurePosixPath(name), PureWindowsPath(name)
    mode = member.external_attr >> 16
    if path.is_absolute() or windows.drive or windows.root or '..' in path.parts or '..' in windows.parts:
        what = 'would be written outside of its folder'
    elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = 'is a link or a device'
    elif member.flag_bits & _ENCRYPTED:
        what = 'is encrypted'
    elif member.file_size > _MOST_COMPRESSED * archive.stat().st_size:
        what = f'is {member.file_size} bytes unpacked, out of an archive of {archive.stat().st_size}'
    else:
        return
    raise DownloadError(f'{archive} was refused: its member {name!r} {what}; nothing was unpacked')


def _check_space(member: zipfile.ZipInfo, target: Path) -> None:
    free = shutil.disk_usage(target.parent).free
    if member.file_size > free:
        raise DownloadError(
            f'{target.parent} has {free / 1e6:.0f} MB left and {target.name} needs {member.file_size / 1e6:.0f} MB; '
            f'make room, or name another folder'
        )
