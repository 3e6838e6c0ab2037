"""What ``stream`` and ``listen`` do alike: one source, one server, one display, until the end or Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

from cli.live_client import connected, converse
from cli.live_options import Query
from cli.live_screen import Display
from cli.live_source import LiveSource


async def hold(
    opened: AbstractAsyncContextManager[LiveSource], query: Query, url: str, key: str | None, display: Display
) -> bool:
    """Send everything and show everything. True: Ctrl-C ended it, and the server has answered what was said before.

    A second Ctrl-C ends at once, with ``KeyboardInterrupt``. Raises what ``converse`` raises.
    """
    async with opened as source, connected(query.address(url, source), key) as connection:
        stop = asyncio.Event()
        with _ctrl_c_sets(stop), display:
            await converse(connection, source, display.take, stop)
        return stop.is_set()


@contextmanager
def _ctrl_c_sets(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGINT)

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        loop.call_soon_threadsafe(stop.set)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
