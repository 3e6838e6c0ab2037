from __future__ import annotations

import asyncio
import sys

import pytest

from app.services.time_limit import TimeLimit
from tests.support.live_shell import run_virtually


def test_what_takes_too_long_is_cancelled_and_said_so() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        cancelled = False

        async def slow() -> None:
            nonlocal cancelled
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                cancelled = True
                raise

        with pytest.raises(asyncio.TimeoutError), TimeLimit(5):
            await slow()
        assert cancelled
        assert loop.time() - began == pytest.approx(5)
        await asyncio.sleep(1)  # the task itself goes on

    run_virtually(main)


def test_what_is_in_time_is_left_alone_for_good() -> None:
    async def main() -> str:
        with TimeLimit(5):
            await asyncio.sleep(4)
        await asyncio.sleep(10)
        return "done"

    assert run_virtually(main) == "done"


def test_errors_come_through_as_they_are() -> None:
    async def fail() -> None:
        await asyncio.sleep(1)
        raise KeyError

    async def main() -> None:
        with pytest.raises(KeyError), TimeLimit(5):
            await fail()

    run_virtually(main)


def test_a_cancellation_from_elsewhere_stays_one() -> None:
    async def limited() -> None:
        with TimeLimit(5):
            await asyncio.sleep(100)

    async def main() -> None:
        task = asyncio.ensure_future(limited())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run_virtually(main)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="before 3.11 a task cannot tell who cancels it")
def test_a_cancellation_at_the_same_moment_wins() -> None:
    async def limited() -> None:
        with TimeLimit(5):
            await asyncio.sleep(100)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(limited())
        await asyncio.sleep(0)
        loop.call_at(loop.time() + 5, task.cancel)
        await asyncio.wait([task])
        assert task.cancelled()

    run_virtually(main)
