"""One model, many askers."""

import asyncio
import threading

import pytest

from shared_ops.openmmlab.serve.turns import BusyError, Turns


async def answers(turns: Turns, *jobs):
    """Ask for all jobs at once, and do them in another thread."""
    tasks = [asyncio.ensure_future(turns.take(job)) for job in jobs]
    await asyncio.sleep(0)
    ended = threading.Event()
    worker = threading.Thread(target=turns.work, args=(lambda: not ended.is_set(),))
    worker.start()
    try:
        return await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        ended.set()
        worker.join()


def test_one_after_the_other_in_one_thread() -> None:
    at_work, threads = [], set()

    def job(number: int):
        def run() -> int:
            assert not at_work
            at_work.append(number)
            threads.add(threading.current_thread())
            return at_work.pop()

        return run

    assert asyncio.run(answers(Turns(8), *map(job, range(5)))) == list(range(5))
    assert len(threads) == 1


def test_errors_go_to_their_askers() -> None:
    def fail() -> None:
        raise MemoryError('too much')

    first, second = asyncio.run(answers(Turns(8), fail, lambda: 2))
    assert isinstance(first, MemoryError)
    assert second == 2


def test_too_many_are_refused() -> None:
    *waiting, refused = asyncio.run(answers(Turns(2), lambda: 1, lambda: 2, lambda: 3))
    assert waiting == [1, 2]
    assert isinstance(refused, BusyError)


def test_who_goes_away_is_left_out() -> None:
    done = []

    async def ask() -> None:
        turns: Turns = Turns(8)
        given_up = asyncio.ensure_future(turns.take(lambda: done.append('given up')))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        await answers(turns, lambda: done.append('kept'))

    asyncio.run(ask())
    assert done == ['kept']


def test_an_interrupt_ends_the_work() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    async def ask() -> None:
        turns: Turns = Turns(8)
        task = asyncio.ensure_future(turns.take(interrupted))
        await asyncio.sleep(0)
        with pytest.raises(KeyboardInterrupt):
            turns.work(lambda: True)
        task.cancel()

    asyncio.run(ask())
