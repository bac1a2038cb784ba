"""Files from the web: whole and right, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from ...errors import InputError
from .addresses import at_mirror, check_needs_no_browser, is_address
from .errors import DownloadError
from .transfer import Report, TransferBrokenError, discard, transfer


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Args:
        tries: that bring nothing new, until it is given up.
        pause: seconds after the first of them; twice as long after each further one.
        longest_pause: in seconds, also where the server asks for more.
        timeout: seconds without a sign of the server.
    """

    tries: int = 4
    pause: float = 1.0
    longest_pause: float = 60.0
    timeout: float = 30.0


def download(
    address: str,
    target: Path,
    *,
    sha256: str | None = None,
    mirror: str | None = None,
    patience: Patience = Patience(),
) -> Path:
    """Download a file, unless it is there.

    It appears under its name only when it is complete: until then it is ``NAME.part``, from where a later call goes on
    if this one ends early. Several processes may ask for the same file; one of them downloads it.

    Args:
        address: of the file (http, https).
        target: where it is wanted; folders are made if need be.
        sha256: hexadecimal digits that its SHA-256 begins with, any number of them; None if they are not known.
        mirror: see :func:`~shared_ops.openmmlab.zoo.addresses.at_mirror`.
        patience: with a slow server.

    Returns:
        ``target``.

    Raises:
        ValueError: the address or the mirror is none.
        DownloadError: the file could not be had; the message says what can be done.
    """
    if target.is_file():
        return target
    if not is_address(address):
        raise InputError(f'address {address} must begin with http:// or https://')
    asked = at_mirror(address, target.name, mirror)
    check_needs_no_browser(asked, str(target))
    with locked(target):
        if target.is_file():  # another process was faster
            return target
        part = target.with_name(f'{target.name}.part')
        try:
            with _progress(asked) as report:
                _get(asked, part, target, patience, report)
        finally:
            if part.is_file() and part.stat().st_size == 0:
                discard(part)
        _check_hash(part, sha256, asked)
        os.replace(part, target)
        discard(part)
    return target


def _get(address: str, part: Path, target: Path, patience: Patience, report: Report) -> None:
    """Try until the part is the whole file; tries that brought it nearer do not count."""
    most, failures = 0, 0
    while True:
        try:
            return transfer(address, part, timeout=patience.timeout, report=report)
        except TransferBrokenError as interruption:
            have = part.stat().st_size if part.is_file() else 0
            failures = 0 if have > most else failures + 1
            most = max(most, have)
            if failures >= patience.tries:
                kept = (
                    f' The {have / 1e6:.1f} MB that came are kept; the same command goes on from there.' if have else ''
                )
                raise DownloadError(
                    f'{address} could not be downloaded: {interruption}.{kept} Where the address cannot be reached, '
                    f'name a mirror (--mirror, or MMSEG_MIRROR), or bring the file from elsewhere to {target}'
                ) from interruption
            pause = patience.pause * 2 ** max(failures - 1, 0)
            pause = pause if interruption.wait is None else max(pause, interruption.wait)
            time.sleep(min(pause, patience.longest_pause))


def _check_hash(part: Path, sha256: str | None, address: str) -> None:
    if sha256 is None:
        return
    found = _digest(part)
    if not found.startswith(sha256.lower()):
        discard(part)
        raise DownloadError(
            f'what {address} sent is not the published file: its SHA-256 is {found[: max(len(sha256), 8)]} and should '
            f'be {sha256}; it was removed. Say the same again, or name another mirror'
        )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Keep other processes from making a file meanwhile; whoever gets the lock looks first whether it is there now.

    Raises:
        DownloadError: the file's folder cannot be written.
    """
    lock = target.with_name(f'.{target.name}.lock')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        holder = FileLock(lock)
        try:
            holder.acquire(timeout=0)
        except Timeout:
            _console().print(f'another process is downloading {target}; waiting for it', markup=False)
            holder.acquire()
    except OSError as error:
        raise DownloadError(
            f'{target.parent} cannot be written: {error.strerror}; name another folder (--out, or TORCH_HOME for the '
            f'cache)'
        ) from error
    try:
        yield
        # whoever waits for it now finds the file, and so does everybody after him
        lock.unlink(missing_ok=True)
    finally:
        holder.release()


@contextlib.contextmanager
def _progress(address: str) -> Iterator[Report]:
    # the address has a line of its own: beside it no bar would have room
    console = _console()
    console.print(f'downloading {address}', markup=False)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task('', total=None)
        yield lambda have, length: progress.update(task, completed=have, total=length)


def _console() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)
