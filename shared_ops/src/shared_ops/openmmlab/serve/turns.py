"""One model, many askers: jobs that are done one after the other, in one thread."""

from __future__ import annotations

import asyncio
import contextlib
import queue
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar('T')


class BusyError(RuntimeError):
    """Too many jobs are waiting already."""


class Turns(Generic[T]):
    """Jobs that a server's requests hand over to the thread that the model runs in.

    That is the main thread of the process, so that Ctrl-C stops a model between two of its operations.

    Args:
        waiting: how many jobs may wait.
    """

    def __init__(self, waiting: int) -> None:
        self._jobs: queue.Queue[tuple[Callable[[], T], asyncio.AbstractEventLoop, asyncio.Future[T]]] = queue.Queue(
            waiting
        )

    async def take(self, job: Callable[[], T]) -> T:
        """Wait for the turn of a job, and return what it returns or raise what it raises.

        A job whose asker is cancelled before its turn is left out.

        Raises:
            BusyError: too many are waiting.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        try:
            self._jobs.put_nowait((job, loop, future))
        except queue.Full:
            raise BusyError('too many pictures are waiting') from None
        return await future

    def work(self, goes_on: Callable[[], bool]) -> None:
        """Do jobs, in the calling thread, for as long as ``goes_on()``, which is asked twice a second."""
        while goes_on():
            try:
                # without a limit, Windows would not interrupt it
                job, loop, future = self._jobs.get(timeout=0.5)
            except queue.Empty:
                continue
            if future.cancelled():
                continue
            try:
                outcome: Any = job()
                deliver: Callable[[Any], None] = future.set_result
            except Exception as error:
                outcome, deliver = error, future.set_exception
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile, and its loop with it
                loop.call_soon_threadsafe(_unless_cancelled, future, deliver, outcome)


def _unless_cancelled(future: asyncio.Future[T], deliver: Callable[[Any], None], outcome: Any) -> None:
    if not future.done():
        deliver(outcome)
