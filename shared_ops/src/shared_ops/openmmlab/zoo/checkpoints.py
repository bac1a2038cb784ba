"""A config's published checkpoint, as a file of this machine."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ...errors import InputError
from ..files import CHECKPOINTS
from .addresses import at_mirror, check_needs_no_browser, file_name, is_browser_page
from .archives import unpack_checkpoint
from .cache import cache_folder
from .download import download, locked
from .models import PublishedModel, published_model


def checkpoint_of(package: str, name: str, *, folder: Path | None = None, mirror: str | None = None) -> Path:
    """Return the local file of a config's published checkpoint; download it if it is not there.

    Args:
        package: import name of the config's package.
        name: of the config, with or without data set and ``.py``, or its path.
        folder: where the file is looked for and put; :func:`~shared_ops.openmmlab.zoo.cache.cache_folder` if None.
        mirror: see :func:`~shared_ops.openmmlab.zoo.addresses.at_mirror`.

    Returns:
        A file of PyTorch; archives are unpacked.

    Raises:
        ValueError: there is no such config, or its authors published no checkpoint.
        DownloadError: the file could not be had; the message says what can be done, such as opening a page.
    """
    model = published_model(package, name)
    if model.weights is None:
        raise InputError(
            f'the authors of {model.collection} published no checkpoint of {model.name}; name one of your own'
        )
    return fetch(model.weights, _local_name(model), folder, sha256=model.sha256, mirror=mirror)


def fetch(
    address: str, name: str, folder: Path | None = None, *, sha256: str | None = None, mirror: str | None = None
) -> Path:
    """Return the local file of a published one; download it if it is not there, and unpack it if it is an archive.

    Args:
        address: of the file, of an archive with it, or of a page that leads to it.
        name: that the file has here.
        folder: as for :func:`checkpoint_of`.
        sha256: of what is at the address.
        mirror: as for :func:`checkpoint_of`.
    """
    target = (cache_folder() if folder is None else folder.expanduser()) / name
    if target.is_file():
        return target
    # said for the file itself, before an archive is looked for
    check_needs_no_browser(at_mirror(address, target.name, mirror), str(target))
    if is_browser_page(address) or not file_name(address).endswith('.zip'):
        return download(address, target, sha256=sha256, mirror=mirror)
    archive = target.with_name(file_name(address))
    with locked(target):
        if target.is_file():  # another process has unpacked it
            return target
        was_there = archive.is_file()
        unpack_checkpoint(download(address, archive, sha256=sha256, mirror=mirror), target)
        if not was_there:  # an archive that somebody brought is left to him
            archive.unlink()
    return target


def _local_name(model: PublishedModel) -> str:
    assert model.weights is not None
    if is_browser_page(model.weights):  # its address says nothing of the file
        return f'{model.name}.pth'
    name = file_name(model.weights)
    return name if name.endswith(CHECKPOINTS) else f'{PurePosixPath(name).stem}.pth'
