"""One attempt to get a file over HTTP, going on from what an earlier attempt has left.

PyTorch's ``torch.hub.download_url_to_file`` begins anew each time; Hugging Face's client goes on, but speaks with its
own hub only; pooch needs requests and begins anew as well. So this is written on ``urllib``, which also honours
``http_proxy`` and ``https_proxy``.

What has come so far lies in ``NAME.part``; ``NAME.part.json`` beside it says what it is a part of. A server continues
a file only if it is still the same (``If-Range``), and a part whose server names neither ``ETag`` nor ``Last-Modified``
is never continued: two halves of different files would make a whole that nobody has published.
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import re
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from .errors import DownloadError

Report = Callable[[int, int | None], None]
_CHUNK = 1 << 18
_WEB_PAGES = (b'<!doctype html', b'<html')
_MEGABYTE = 1e6
# The server may do better a little later; all other refusals are final.
_WORTH_ANOTHER_TRY = (408, 425, 429, 500, 502, 503, 504)


class TransferBrokenError(Exception):
    """The attempt ended early, another may succeed.

    Args:
        reason: for the user.
        wait: seconds that the server asks to wait, None if it does not say.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Origin:
    """What a part is a part of.

    Args:
        address: that was asked.
        validator: strong ``ETag`` or ``Last-Modified`` of the file, None if the server names neither.
        length: of the whole file in bytes, None if the server does not say.
    """

    address: str
    validator: str | None
    length: int | None


def transfer(address: str, part: Path, *, timeout: float, report: Report) -> None:
    """Download what is missing of a file.

    Args:
        address: of the file (http, https).
        part: where its beginning is, if there is one, and the whole file is afterwards.
        timeout: seconds without a sign of the server.
        report: is called with the number of bytes so far, and of the whole file or None.

    Raises:
        TransferBrokenError: the connection broke, or the server is busy; the part has what has come.
        DownloadError: the server refuses, or sends no file; another attempt would end the same way.
    """
    have = part.stat().st_size if part.is_file() else 0
    origin = _read_origin(part)
    if origin is None or origin.address != address or origin.validator is None:
        have, origin = 0, None
    if origin is not None and origin.length == have:
        return
    headers = {'User-Agent': 'mmseg-shared-ops', 'Accept-Encoding': 'identity'}
    if origin is not None and have:
        headers |= {'Range': f'bytes={have}-', 'If-Range': str(origin.validator)}
    with _opened(urllib.request.Request(address, headers=headers), timeout, part) as response:
        if response.status == 206:
            length = _continued_length(response, have, origin, part)
        else:
            have, length = 0, _number(response.headers.get('Content-Length'))
            _check_is_file(response.headers, address)
        _check_space(part, (length or have) - have)
        with _writing(part), part.open('ab' if have else 'wb') as file:
            if not have:
                _write_origin(part, Origin(address, _validator(response.headers), length))
            report(have, length)
            for chunk in _chunks(response):
                if not have and chunk.lstrip()[:14].lower().startswith(_WEB_PAGES):
                    raise _page_instead(address)
                file.write(chunk)
                have += len(chunk)
                report(have, length)
    if length is not None and have != length:
        raise TransferBrokenError(f'the server sent {have} of {length} bytes')
    if not have:
        raise TransferBrokenError('the server sent nothing')


def discard(part: Path) -> None:
    """Remove a part, and what is known of it."""
    part.unlink(missing_ok=True)
    _notes(part).unlink(missing_ok=True)


@contextlib.contextmanager
def _opened(request: urllib.request.Request, timeout: float, part: Path) -> Iterator[http.client.HTTPResponse]:
    address = request.full_url
    try:
        response = urllib.request.build_opener(_StayingSecure).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # the part is longer than the file
                discard(part)
                raise TransferBrokenError('what was downloaded before is no part of the file any more') from error
            what = f'{error.code} {error.reason}'
            if error.code in _WORTH_ANOTHER_TRY:
                raise TransferBrokenError(what, _number(error.headers.get('Retry-After'))) from error
            raise DownloadError(_refusal(address, error.code, what)) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise DownloadError(
                f'{address}: the certificate of the server cannot be verified ({error.reason.verify_message}); where a '
                f'proxy has its own, name it with the environment variable SSL_CERT_FILE'
            ) from error
        raise TransferBrokenError(f'no connection ({error.reason})') from error
    except (OSError, http.client.HTTPException) as error:
        raise TransferBrokenError(f'no answer ({error or type(error).__name__})') from error
    with response:
        yield response


class _StayingSecure(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to http."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.full_url.startswith('https://') and not newurl.startswith('https://'):
            raise DownloadError(f'{req.full_url} redirects to {newurl}, which is not encrypted; it was not followed')
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _refusal(address: str, code: int, what: str) -> str:
    if code in (404, 410):
        return f'{address} is not there ({what}); the file was moved or removed, or the mirror does not have it'
    if code in (401, 403):
        return f'{address} is refused ({what}); look at it in a browser, or name a mirror'
    if code in (301, 302, 303, 307, 308):
        return f'{address} redirects in a circle, too often, or to what is not on the web ({what})'
    return f'{address} could not be had: the server says {what}'


def _continued_length(response: http.client.HTTPResponse, have: int, origin: Origin | None, part: Path) -> int | None:
    """Return the length of the whole file, whose second half a server sends."""
    found = re.fullmatch(r'bytes (\d+)-\d+/(\d+|\*)', response.headers.get('Content-Range', '').strip())
    length = None if found is None or found[2] == '*' else int(found[2])
    same = (
        origin is not None
        and found is not None
        and int(found[1]) == have
        and (length is None or origin.length is None or length == origin.length)
        and _validator(response.headers) in (None, origin.validator)
    )
    if origin is None or not same:
        discard(part)
        raise TransferBrokenError('the file changed since its beginning was downloaded')
    return origin.length if length is None else length


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := response.read1(_CHUNK):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise TransferBrokenError(f'the connection broke ({error or type(error).__name__})') from error


def _check_is_file(headers: Message, address: str) -> None:
    if headers.get_content_type() in ('text/html', 'application/xhtml+xml') and headers.get('Content-Type'):
        raise _page_instead(address)
    encoding = headers.get('Content-Encoding', 'identity')
    if encoding != 'identity':
        raise DownloadError(f'{address} comes compressed ({encoding}), which was not asked for; name another mirror')


def _page_instead(address: str) -> DownloadError:
    return DownloadError(
        f'{address} answers with a web page, not with a file: of a login, of a proxy, or one to press a button on. '
        f'Open it in a browser (on GitHub and Hugging Face files are at /raw/ or /resolve/, pages at /blob/)'
    )


def _check_space(part: Path, wanted: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if wanted > free:
        raise DownloadError(
            f'{part.parent} has {free / _MEGABYTE:.0f} MB left and {wanted / _MEGABYTE:.0f} MB are to come; '
            f'make room, or name another folder (--out, or TORCH_HOME for the cache)'
        )


@contextlib.contextmanager
def _writing(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        what = 'the disk is full' if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        raise DownloadError(
            f'{part} cannot be written: {what}; what has come so far is kept there. Make room, or name another folder '
            f'(--out, or TORCH_HOME for the cache)'
        ) from error


def _validator(headers: Message) -> str | None:
    """Return what tells a file from a later one at the same address; weak ETags do not."""
    tag: str | None = headers.get('ETag')
    return headers.get('Last-Modified') if tag is None or tag.startswith('W/') else tag


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.strip().isdecimal() else None


def _notes(part: Path) -> Path:
    return part.with_name(f'{part.name}.json')


def _read_origin(part: Path) -> Origin | None:
    try:
        return Origin(**json.loads(_notes(part).read_text(encoding='utf-8')))
    except (OSError, ValueError, TypeError):  # none, or not ours: the part is not continued
        return None


def _write_origin(part: Path, origin: Origin) -> None:
    _notes(part).write_text(json.dumps(asdict(origin)), encoding='utf-8')
