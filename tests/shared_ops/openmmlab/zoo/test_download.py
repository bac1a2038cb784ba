"""Downloads over a connection that breaks, from servers that err."""

import errno
import hashlib
import threading
from pathlib import Path

import pytest

from shared_ops.openmmlab.zoo import transfer as transfer_module
from shared_ops.openmmlab.zoo.download import Patience, download
from shared_ops.openmmlab.zoo.errors import DownloadError
from support.file_server import FileServer, answer

IMPATIENT = Patience(pause=0.0, longest_pause=0.0, timeout=2.0)


def fetch(server: FileServer, folder: Path, **options: str) -> bytes:
    """Download the server's file and return it; nothing may lie beside it."""
    target = download(f'{server.address}/release/weights.pth', folder / 'weights.pth', patience=IMPATIENT, **options)
    assert [path.name for path in folder.iterdir()] == ['weights.pth']
    return target.read_bytes()


def refusal(server: FileServer, folder: Path, **options: str) -> str:
    """Return why a download fails; there is no file then."""
    with pytest.raises(DownloadError) as caught:
        fetch(server, folder, **options)
    assert not (folder / 'weights.pth').exists()
    return str(caught.value)


def test_what_is_there_is_not_asked_for(server: FileServer, tmp_path: Path) -> None:
    assert fetch(server, tmp_path) == server.content
    assert fetch(server, tmp_path) == server.content
    assert len(server.requests) == 1


def test_broken_connection_is_continued(server: FileServer, tmp_path: Path) -> None:
    server.script = [server.breaking_off(100_000), server.breaking_off(50_001)]
    assert fetch(server, tmp_path) == server.content
    assert server.ranges() == [None, 'bytes=100000-', 'bytes=150001-']
    assert server.requests[1][1]['If-Range'] == '"first"'


def test_later_call_continues(server: FileServer, tmp_path: Path) -> None:
    """The first cut brings the file nearer and does not count; the others bring nothing."""
    server.script = [server.breaking_off(100_000), *4 * [server.breaking_off(0)]]
    message = refusal(server, tmp_path)
    assert 'sent 100000 of 300000 bytes' in message and '0.1 MB that came are kept' in message
    assert len(server.requests) == 5
    assert fetch(server, tmp_path) == server.content
    assert server.ranges()[-1] == 'bytes=100000-'


def test_part_that_is_already_whole(server: FileServer, tmp_path: Path) -> None:
    """The program ended between the last byte and the renaming."""
    server.script = [server.breaking_off(299_999), *4 * [server.breaking_off(0)]]
    refusal(server, tmp_path)
    with (tmp_path / 'weights.pth.part').open('ab') as file:
        file.write(server.content[-1:])
    assert fetch(server, tmp_path) == server.content
    assert len(server.requests) == 5


def test_server_without_ranges_begins_anew(server: FileServer, tmp_path: Path) -> None:
    server.script = [server.breaking_off(100_000), server.without_ranges]
    assert fetch(server, tmp_path) == server.content


@pytest.mark.parametrize('headers', [{}, {'ETag': 'W/"weak"'}])
def test_without_a_validator_nothing_is_continued(server: FileServer, tmp_path: Path, headers: dict[str, str]) -> None:
    server.headers = headers
    server.script = [server.breaking_off(100_000)]
    assert fetch(server, tmp_path) == server.content
    assert server.ranges() == [None, None]


def test_last_modified_is_a_validator(server: FileServer, tmp_path: Path) -> None:
    del server.headers['ETag']
    server.script = [server.breaking_off(100_000)]
    assert fetch(server, tmp_path) == server.content
    assert server.requests[1][1]['If-Range'] == server.headers['Last-Modified']


@pytest.mark.parametrize('honest', [True, False], ids=['If-Range', 'no If-Range'])
def test_changed_file_is_never_spliced(server: FileServer, tmp_path: Path, honest: bool) -> None:
    """The second server does not understand If-Range, and sends the end of the new file."""
    server.script = [server.breaking_off(100_000), *4 * [server.breaking_off(0)]]
    refusal(server, tmp_path)
    server.content, server.headers = server.content[::-1], {'ETag': '"second"'}
    if not honest:
        server.script = [
            answer(206, {'ETag': '"second"', 'Content-Range': 'bytes 100000-299999/300000'}, server.content[100_000:])
        ]
    assert fetch(server, tmp_path) == server.content


def test_file_that_became_shorter(server: FileServer, tmp_path: Path) -> None:
    server.script = [server.breaking_off(100_000), *4 * [server.breaking_off(0)]]
    refusal(server, tmp_path)
    server.content = server.content[:50_000]  # under the same ETag: 416
    assert fetch(server, tmp_path) == server.content


def test_other_range_than_asked_for(server: FileServer, tmp_path: Path) -> None:
    wrong = answer(206, {'ETag': '"first"', 'Content-Range': 'bytes 0-299999/300000'}, server.content)
    server.script = [server.breaking_off(100_000), wrong]
    assert fetch(server, tmp_path) == server.content


def test_length_that_is_never_reached(server: FileServer, tmp_path: Path) -> None:
    server.script = 5 * [answer(200, {'Content-Length': '300'}, b'x' * 299)]
    assert 'sent 299 of 300 bytes' in refusal(server, tmp_path)


def test_unknown_length(server: FileServer, tmp_path: Path) -> None:
    server.script = [answer(200, {}, server.content)]
    assert fetch(server, tmp_path) == server.content


def test_chunks_that_end_early(server: FileServer, tmp_path: Path) -> None:
    def broken(handler) -> None:
        handler.protocol_version = 'HTTP/1.1'
        answer(200, {'Transfer-Encoding': 'chunked', 'Connection': 'close'}, b'ffff\r\nonly this')(handler)

    server.script = [broken]
    assert fetch(server, tmp_path) == server.content
    assert len(server.requests) == 2


@pytest.mark.parametrize('status', [429, 500, 503])
def test_busy_server_is_asked_again(server: FileServer, tmp_path: Path, status: int) -> None:
    server.script = 3 * [answer(status, {'Retry-After': '0'})]
    assert fetch(server, tmp_path) == server.content
    assert len(server.requests) == 4


def test_answer_without_a_file(server: FileServer, tmp_path: Path) -> None:
    server.script = [answer(204), *3 * [answer(200, {'Content-Length': '0'})]]
    assert 'the server sent nothing' in refusal(server, tmp_path)


def test_more_than_the_file(server: FileServer, tmp_path: Path) -> None:
    """Without a length of its own, an answer ends with the connection."""
    longer = answer(206, {'ETag': '"first"', 'Content-Range': 'bytes 100000-299999/300000'}, bytes(200_001))
    server.script = [server.breaking_off(100_000), longer]
    assert fetch(server, tmp_path) == server.content


def test_pauses_grow_and_heed_the_server(server: FileServer, tmp_path: Path, monkeypatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr('time.sleep', pauses.append)
    server.script = [answer(503), answer(503, {'Retry-After': '7'}), answer(503, {'Retry-After': '9999'})]
    download(f'{server.address}/weights.pth', tmp_path / 'weights.pth')
    assert pauses == [1, 7, 60]


@pytest.mark.parametrize(
    ('status', 'reason'), [(404, 'is not there'), (403, 'is refused'), (418, 'the server says 418')]
)
def test_final_refusals(server: FileServer, tmp_path: Path, status: int, reason: str) -> None:
    server.script = [answer(status)]
    assert reason in refusal(server, tmp_path)
    assert len(server.requests) == 1


def test_redirects(server: FileServer, tmp_path: Path) -> None:
    """As GitHub's releases and Hugging Face answer; the part that is there is named at the last address too."""
    to_store = answer(302, {'Location': '/store/1?signed'})
    server.script = [to_store, server.breaking_off(100_000), to_store]
    assert fetch(server, tmp_path) == server.content
    assert [path for path, _ in server.requests] == 2 * ['/release/weights.pth', '/store/1?signed']
    assert server.ranges()[-1] == 'bytes=100000-'


def test_redirects_in_a_circle(server: FileServer, tmp_path: Path) -> None:
    server.script = 20 * [answer(302, {'Location': '/release/weights.pth'})]
    assert 'in a circle' in refusal(server, tmp_path)


def test_redirects_to_a_file_of_this_machine(server: FileServer, tmp_path: Path) -> None:
    server.script = [answer(302, {'Location': 'file:///etc/passwd'})]
    assert 'to what is not on the web' in refusal(server, tmp_path)


def test_encryption_is_not_given_up() -> None:
    from urllib.request import Request

    with pytest.raises(DownloadError, match='not encrypted'):
        transfer_module._StayingSecure().redirect_request(
            Request('https://a.example/x'), None, 302, 'Found', {}, 'http://a.example/x'
        )


@pytest.mark.parametrize(
    'page',
    [
        answer(200, {'Content-Type': 'text/html; charset=utf-8'}, b'Please log in'),
        answer(200, {'Content-Type': 'application/octet-stream'}, b'\n<!DOCTYPE html><html></html>'),
    ],
    ids=['by its type', 'by its beginning'],
)
def test_web_page_is_no_file(server: FileServer, tmp_path: Path, page) -> None:
    server.script = [page]
    assert 'answers with a web page' in refusal(server, tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / '.weights.pth.lock']


def test_compressed_answer(server: FileServer, tmp_path: Path) -> None:
    server.script = [answer(200, {'Content-Encoding': 'gzip'}, b'xx')]
    assert 'comes compressed (gzip)' in refusal(server, tmp_path)


def test_hash(server: FileServer, tmp_path: Path) -> None:
    digest = hashlib.sha256(server.content).hexdigest()
    assert 'its SHA-256 is ' + digest[:8] in refusal(server, tmp_path, sha256='0123abcd')
    assert not (tmp_path / 'weights.pth.part').exists()
    assert fetch(server, tmp_path, sha256=digest[:8].upper()) == server.content


def test_nobody_listens(server: FileServer, tmp_path: Path) -> None:
    server.close()
    message = refusal(server, tmp_path)
    assert 'no connection' in message and 'MMSEG_MIRROR' in message and str(tmp_path / 'weights.pth') in message


def test_silent_server(server: FileServer, tmp_path: Path) -> None:
    silence = threading.Event()
    server.script = [lambda _: silence.wait(5)]
    quick = Patience(tries=1, pause=0.0, timeout=0.05)
    with pytest.raises(DownloadError, match='timed out'):
        download(f'{server.address}/weights.pth', tmp_path / 'weights.pth', patience=quick)
    silence.set()


def test_disk_that_is_too_small(server: FileServer, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr('shutil.disk_usage', lambda _: type('Usage', (), {'free': 299_999}))
    assert 'has 0 MB left and 0 MB are to come' in refusal(server, tmp_path)
    monkeypatch.undo()


def test_disk_that_fills_up(server: FileServer, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(transfer_module, '_write_origin', full)
    assert 'the disk is full' in refusal(server, tmp_path)


def test_folder_that_cannot_be_made(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    with pytest.raises(DownloadError, match=r'file/below cannot be written'):
        download(f'{server.address}/weights.pth', tmp_path / 'file' / 'below' / 'weights.pth')


def test_two_at_once_download_it_once(server: FileServer, tmp_path: Path) -> None:
    both = [threading.Thread(target=fetch, args=(server, tmp_path)) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert fetch(server, tmp_path) == server.content
    assert len(server.requests) == 1


def test_address_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='must begin with http'):
        download('file:///etc/passwd', tmp_path / 'weights.pth')
