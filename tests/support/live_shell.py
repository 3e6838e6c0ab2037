"""For tests of the live shell: a client written as a list, and an event loop whose clock jumps instead of waiting."""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from app.domain.errors import ClientGone
from app.domain.stream.events import Control, Results, StreamEvent

T = TypeVar("T")

Step = Callable[[], Awaitable[object]]


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time stands still while anything can run and jumps to the next timer when nothing can. No threads under it: an
    answer that comes from one would find the clock far ahead."""

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._now

    def jump(self, seconds: float) -> None:
        self._now += seconds


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits for ever")
        if timeout > 0:
            self._loop.jump(timeout)
        return super().select(0)


def run_virtually(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``main`` on a ``VirtualLoop``; fails if it leaves a task behind."""
    loop = VirtualLoop()
    try:
        answer = loop.run_until_complete(main())
        assert not asyncio.all_tasks(loop), "a task was left running"
        return answer
    finally:
        loop.run_until_complete(_cancel_others())
        loop.close()


async def _cancel_others() -> None:
    """After a failure, so that it is the only one that is reported."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(50):
        await asyncio.sleep(0)


class ListLink:
    """Fulfils ``ClientLink``: sends ``items`` in order (a function is awaited where it stands), then stays and listens.

    ``hang_up`` ends it, as does a close by the server. ``reading`` cleared: it takes no messages. ``received`` are the
    events that reached it, ``closed`` the code and reason, ``asked`` how many items were asked for.
    """

    def __init__(self, *items: bytes | Control | Step) -> None:
        self.items = deque(items)
        self.received: list[StreamEvent] = []
        self.sha256 = ""
        self.closed: tuple[int, str] | None = None
        self.asked = 0
        self.reading = asyncio.Event()
        self.reading.set()
        self._gone = asyncio.Event()

    def hang_up(self) -> None:
        self._gone.set()

    async def receive(self) -> bytes | Control | None:
        self.asked += 1
        while self.items and not self._gone.is_set():
            item = self.items.popleft()
            if not callable(item):
                return item
            await item()
        await self._gone.wait()
        return None

    async def send(self, event: StreamEvent, sha256: str) -> None:
        await self._out()
        self.received.append(event)
        self.sha256 = sha256

    async def close(self, code: int, reason: str) -> None:
        self.closed = (code, reason)  # what was tried, whether or not it got through
        await self._out()
        self._gone.set()

    async def _out(self) -> None:
        await self.reading.wait()
        if self._gone.is_set():
            raise ClientGone

    @property
    def finals(self) -> list[Results]:
        return [event for event in self.received if isinstance(event, Results) and event.is_final]

    @property
    def names(self) -> list[str]:
        """The kinds of the events received, in order."""
        return [type(event).__name__ for event in self.received]
