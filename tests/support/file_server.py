"""A web server on the loopback address that has one file, and behaves as badly as it is told to."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behaviour = Callable[[BaseHTTPRequestHandler], None]


class FileServer:
    """Serves ``content`` under every path, with ranges as RFC 9110 has them.

    Args:
        content: the file.
        headers: that come with it, such as its ``ETag``.

    Attributes:
        script: what answers the next requests, first come, first served, before the file itself does.
        requests: path and headers of every request so far.
    """

    def __init__(self, content: bytes, headers: dict[str, str]) -> None:
        self.content, self.headers = content, headers
        self.script: list[Behaviour] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.requests.append((self.path, dict(self.headers)))
                (owner.script.pop(0) if owner.script else owner.serve)(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={'poll_interval': 0.01}, daemon=True).start()
        self.address = f'http://127.0.0.1:{self._server.server_port}'

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def ranges(self) -> list[str | None]:
        """Return the ranges that were asked for."""
        return [headers.get('Range') for _, headers in self.requests]

    def serve(self, handler: BaseHTTPRequestHandler, stop_after: int | None = None, ranges: bool = True) -> None:
        """Send the file, or the part that is asked for.

        Args:
            handler: of the request.
            stop_after: number of bytes after which the connection breaks.
            ranges: whether requests for a part are understood.
        """
        start, size = 0, len(self.content)
        asked = re.fullmatch(r'bytes=(\d+)-', handler.headers.get('Range', ''))
        validators = (None, self.headers.get('ETag'), self.headers.get('Last-Modified'))
        if ranges and asked and handler.headers.get('If-Range') in validators:
            start = int(asked[1])
            if start >= size:
                answer(416, {'Content-Range': f'bytes */{size}'})(handler)
                return
        body = self.content[start:]
        extra = {'Content-Range': f'bytes {start}-{size - 1}/{size}'} if start else {}
        answer(206 if start else 200, {**self.headers, **extra, 'Content-Length': str(len(body))}, body[:stop_after])(
            handler
        )

    def breaking_off(self, after: int) -> Behaviour:
        """Return a behaviour: so many bytes of what was asked for, then the connection breaks."""
        return lambda handler: self.serve(handler, stop_after=after)

    def without_ranges(self, handler: BaseHTTPRequestHandler) -> None:
        """Send the whole file, whatever part is asked for."""
        self.serve(handler, ranges=False)


def answer(status: int, headers: dict[str, str] | None = None, body: bytes = b'') -> Behaviour:
    """Return a behaviour: this status, these headers and no others, this body."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave
