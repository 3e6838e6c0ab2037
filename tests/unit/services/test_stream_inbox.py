"""Reading ahead of the work: far enough to see a client leave, not so far that its audio piles up."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.stream.events import CloseStream, Control, KeepAlive
from app.services.inbox import CONTROL_BYTES, READ_AHEAD_BYTES, Inbox
from tests.support.live_shell import ListLink, run_virtually, settle


@pytest.mark.parametrize(
    ("item", "most"),
    [
        (b"x" * 3200, READ_AHEAD_BYTES // 3200 + 1),
        (b"x" * 5_000_000, 1),
        (KeepAlive(), READ_AHEAD_BYTES // CONTROL_BYTES + 1),
    ],
)
def test_no_more_is_read_than_the_bound_and_the_message_that_crosses_it(item: bytes | Control, most: int) -> None:
    async def main() -> None:
        link = ListLink(*[item] * 2000)
        inbox = Inbox(link)
        reading = asyncio.ensure_future(inbox.fill())
        await settle()
        assert link.asked == most
        for taken in range(1, 5):
            assert await inbox.take() == item
            await settle()
            assert link.asked == most + taken
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

    run_virtually(main)


def test_a_client_that_leaves_is_seen_while_its_last_messages_wait() -> None:
    async def main() -> None:
        link = ListLink(b"a", CloseStream(), b"b")
        inbox = Inbox(link)
        reading = asyncio.ensure_future(inbox.fill())
        await settle()
        assert not reading.done()
        link.hang_up()
        await reading
        assert [await inbox.take() for _ in range(3)] == [b"a", CloseStream(), b"b"]

    run_virtually(main)


def test_others_get_their_turn_between_waiting_messages() -> None:
    async def main() -> None:
        inbox = Inbox(ListLink(*[b"a"] * 20))
        reading = asyncio.ensure_future(inbox.fill())
        await settle()
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        watching = asyncio.ensure_future(other())
        for _ in range(20):
            await inbox.take()
        assert turns >= 18
        for task in (watching, reading):
            task.cancel()
        await asyncio.gather(watching, reading, return_exceptions=True)

    run_virtually(main)
