"""Where a published file is asked for: at its own address, at a mirror's, or by a person with a browser."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from ...errors import InputError
from .errors import DownloadError

MIRROR = 'MMSEG_MIRROR'
# Users of Hugging Face's own tools have set it already.
HUGGING_FACE_MIRROR = 'HF_ENDPOINT'
PLACEHOLDERS = ('url', 'host', 'path', 'name')
# These show a page first, where somebody has to press a button or enter a code.
_BROWSER_HOSTS = {
    'pan.baidu.com': 'Baidu',
    'drive.google.com': 'Google Drive',
    'docs.google.com': 'Google Drive',
    '1drv.ms': 'OneDrive',
    'onedrive.live.com': 'OneDrive',
}


def is_address(source: str) -> bool:
    """Tell whether a source is on the web (http, https) and no file of this machine."""
    return source.startswith(('http://', 'https://'))


def file_name(address: str) -> str:
    """Return the name that an address ends with.

    Raises:
        ValueError: it has none.
    """
    name = PurePosixPath(unquote(urlsplit(address).path)).name
    if not name or '\\' in name:
        raise InputError(f'address {address} does not end with the name of a file; name the file itself')
    return name


def at_mirror(address: str, name: str, mirror: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Return the address at which a file is asked for.

    Args:
        address: where the file is published.
        name: of the file.
        mirror: what replaces scheme and host of the address (``https://mirror.example``), or a pattern with
            ``{url}``, ``{host}``, ``{path}`` (without the first slash) or ``{name}`` in it
            (``https://proxy.example/{url}``). Without it the environment variable ``MMSEG_MIRROR`` counts, and for
            files of Hugging Face then ``HF_ENDPOINT``.
        environment: the variables; those of the process if None.

    Raises:
        ValueError: the mirror is no address, or its pattern has other names in braces.
    """
    environment = os.environ if environment is None else environment
    parts = urlsplit(address)
    source = '--mirror'
    if not mirror:
        source, mirror = MIRROR, environment.get(MIRROR)
    if not mirror and parts.hostname == 'huggingface.co':
        source, mirror = HUGGING_FACE_MIRROR, environment.get(HUGGING_FACE_MIRROR)
    if not mirror:
        return address
    unknown = set(re.findall(r'{(.*?)}', mirror)) - set(PLACEHOLDERS)
    if not is_address(mirror) or not _names_a_host(mirror) or unknown:
        raise InputError(
            f'{source} is {mirror}; it must begin with http:// or https:// and the name of a host, and may have '
            f'{", ".join(f"{{{each}}}" for each in PLACEHOLDERS)} in it'
        )
    path = parts.path + (f'?{parts.query}' if parts.query else '')
    if not re.search(r'{.*?}', mirror):
        return mirror.rstrip('/') + path
    values = {'url': address, 'host': parts.netloc, 'path': path.lstrip('/'), 'name': name}
    return re.sub(r'{(.*?)}', lambda match: values[match[1]], mirror)


def _names_a_host(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool((parts.hostname or '').encode('idna')) and parts.port != 0 and not re.search(r'\s', address)
    except ValueError:  # a bracket that is not closed, a port that is no number, two dots
        return False


def is_browser_page(address: str) -> bool:
    """Tell whether an address is that of a page with a file behind it, of a service that wants a browser."""
    return urlsplit(address).hostname in _BROWSER_HOSTS


def check_needs_no_browser(address: str, target: str) -> None:
    """Refuse an address that answers with a page.

    Args:
        address: of the page.
        target: where the file is looked for, for the message.

    Raises:
        DownloadError: a person has to fetch the file; the message says how.
    """
    parts = urlsplit(address)
    service = _BROWSER_HOSTS.get(parts.hostname or '')
    if service is None:
        return
    codes = parse_qs(parts.query).get('pwd')
    code = f', enter the code {codes[0]}' if codes else ''
    raise DownloadError(
        f'{service} gives its files to browsers only: open {address}{code}, download the file, and save it as '
        f'{target}; the same command then finds it there. A mirror that has it under that name can be asked with '
        f'--mirror https://HOST/{{name}}, or {MIRROR}'
    )
