"""The server: a socket, a thread that answers, and the main thread, where the model works."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import threading
from typing import Any

import uvicorn
from numpy.typing import NDArray
from rich.console import Console

from ...errors import FileError, InputError, StateError
from ..inference.segmenter import Segmenter
from .app import About, build_app
from .turns import Turns

_LOOPBACK_NAMES = ('localhost', '127.0.0.1', '::1')
_WAITING = 16


def open_socket(host: str, port: int) -> socket.socket:
    """Take a port, before a model is loaded for nothing.

    Args:
        host: address or name of the network interface.
        port: its number, or 0 for any that is free.

    Raises:
        ValueError: the host or the port is none of this machine's.
        OSError: the port is in use, or kept for others.
    """
    if not 0 <= port <= 65535:
        raise InputError(f'--port is {port}; it goes from 1 to 65535, or 0 for any that is free')
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f'--host {host!r} is no address or name that this machine knows: {error}') from error
    opened = socket.socket(family, kind)
    if os.name == 'posix':  # or the port of a server that has just ended is taken for a minute; elsewhere it means more
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind(address)
    except OSError as error:
        opened.close()
        raise FileError(_why_not(error, host, port)) from error
    return opened


def names_of(host: str) -> list[str] | None:
    """Return the names that a server goes by, given the address that it listens at; None for any.

    All of 127.0.0.0/8 is this machine alone. Debian gives the machine's own name the address 127.0.1.1.
    """
    return [*_LOOPBACK_NAMES, host] if ipaddress.ip_address(host).is_loopback else None


def run(opened: socket.socket, segmenter: Segmenter, about: About) -> int:
    """Answer browsers until Ctrl-C.

    Args:
        opened: from :func:`open_socket`.
        segmenter: the model, which works in the calling thread.
        about: what is said of it.

    Returns:
        0.

    Raises:
        RuntimeError: the server ended by itself.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    host, port = opened.getsockname()[:2]
    names = names_of(host)
    turns: Turns[NDArray[Any]] = Turns(_WAITING)
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(segmenter, about, turns, names),
            log_level='critical',
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )
    answering = threading.Thread(target=server.run, kwargs={'sockets': [opened]}, daemon=True)
    answering.start()
    try:
        console.print(f'{about.model} on {about.device}: {_address(host, port)}   (Ctrl-C ends it)')
        if names is None:
            console.print(f'Everybody who reaches {host} can use it: there is no password, and no encryption.')
        turns.work(answering.is_alive)
    except KeyboardInterrupt:
        console.print('Stopped.')
        return 0
    finally:
        server.should_exit = True
        answering.join(timeout=3)
        opened.close()
    raise StateError('the server ended by itself; start it again')


def _address(host: str, port: int) -> str:
    shown = f'[{host}]' if ':' in host else host
    return f'http://{shown}:{port}/'


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f'port {port} of {host} is in use: end what listens there, or name another --port (0 takes a free one)'
    if error.errno in (errno.EACCES, errno.EPERM):
        return f'port {port} of {host} is kept for the system: name another --port, such as 8000'
    if error.errno == errno.EADDRNOTAVAIL:
        return f'--host {host} is not an address of this machine: 127.0.0.1 is for this machine alone, 0.0.0.0 for all'
    return f'port {port} of {host} cannot be opened: {error.strerror}'
