"""What keeps other pages, open in the same browser, away from the model and the pictures."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    'Content-Security-Policy': "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
}


class Guard:
    """Answers only those who ask for this server by its own name, and from its own page or from no page.

    A page from elsewhere can make a browser ask a server on the same machine, by address or by a name of its own that
    it lets mean 127.0.0.1.

    Args:
        app: what is guarded.
        hosts: names that the server goes by, or None for any.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get('host', ''), headers.get('origin')
        app = self._app
        if self._hosts is not None and urlsplit(f'//{host}').hostname not in self._hosts:
            app = _refuse(f'This server goes by the names {", ".join(self._hosts)}, not by {host!r}.')
        elif origin is not None and urlsplit(origin).netloc != host:
            app = _refuse(f'This server does not work for the page at {origin}.')

        async def send_with_headers(message: Message) -> None:
            if message['type'] == 'http.response.start':
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await app(scope, receive, send_with_headers)


def _refuse(why: str) -> ASGIApp:
    return JSONResponse({'error': why}, status_code=403)
