"""What a live client has sent and nobody has worked on yet: read ahead of the work, within bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from app.domain.stream.events import Control, StreamEvent

READ_AHEAD_BYTES = 256 * 1024
"""Read beyond the message being worked on: so a client that leaves in the middle of a large upload is noticed at once, while
one that goes on sending is held back by TCP. Eight seconds of 16 kHz linear16."""

CONTROL_BYTES = 256
"""What a control message counts for, so that a flood of them is held back too."""


class ClientLink(Protocol):
    """A client as the stream's shell sees it.

    ``receive`` gives audio bytes or a control message, None once the client is gone; it is never called after that. ``send``
    and ``close`` raise ``ClientGone`` when nobody is there any more, and may block while the client does not read.
    ``sha256`` is that of all audio bytes, in hex, for ``Metadata``; empty for any other event.
    """

    async def receive(self) -> bytes | Control | None: ...

    async def send(self, event: StreamEvent, sha256: str) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


@runtime_checkable
class DirectLink(ClientLink, Protocol):
    """A client whose messages come by calls: no task has to wake up for each.

    After ``listen`` every message goes to ``put``, and None (perhaps twice) once the client is gone; ``receive`` is not
    called. ``hold_back`` stops the reading from the client, or lets it go on. ``send_now`` sends if the client takes the
    event without waiting; False: nothing was done.
    """

    def listen(self, put: Callable[[bytes | Control | None], None]) -> None: ...

    def hold_back(self, hold: bool) -> None: ...

    def send_now(self, event: StreamEvent) -> bool: ...


class Inbox:
    """``fill`` runs as a task of its own; ``take`` is for the one who works. Made inside the event loop that runs both.

    ``at_once`` is offered a message before the one who works, if that one waits for it and nothing else does. Having said
    True it works itself: nothing is taken until ``release``.
    """

    def __init__(self, link: ClientLink, at_once: Callable[[bytes | Control], bool] = lambda _: False) -> None:
        self._link = link
        self._at_once = at_once
        self._is_lent = False
        self._items: deque[bytes | Control] = deque()
        self._loop = asyncio.get_running_loop()
        self._came: asyncio.Future[None] | None = None  # a queue would ask the system for its process at each wait
        self._failure: Exception | None = None
        self._waiting_bytes = 0
        self._holds_back = False
        self._taken = asyncio.Event()
        self._gone = asyncio.Event()

    async def fill(self) -> None:
        """Read from the client. Returns when it is gone."""
        link = self._link
        if isinstance(link, DirectLink):
            link.listen(self._put)
            await self._gone.wait()
            return
        while (item := await link.receive()) is not None:
            self._put(item)
            while self._waiting_bytes > READ_AHEAD_BYTES:
                self._taken.clear()
                await self._taken.wait()

    def close(self) -> None:
        """Take no more, neither from the client nor for ``at_once``, and let go of what waits."""
        self._gone.set()
        self._items.clear()
        self._at_once = lambda _: False  # its owner owns this too: such a circle would keep a stream's audio for long

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return not self._items

    async def take(self) -> bytes | Control:
        """The next message, waiting for it if need be; where more have come already, others get their turn first.

        Raises what was given to ``fail``.
        """
        if self._items:
            await asyncio.sleep(0)
        while self._is_lent or not self._items:
            self._came = self._loop.create_future()
            await self._came
            if self._failure is not None:
                raise self._failure
        item = self._items.popleft()
        self._waiting_bytes -= _size(item)
        self._taken.set()
        if self._holds_back and self._waiting_bytes <= READ_AHEAD_BYTES and isinstance(self._link, DirectLink):
            self._holds_back = False
            self._link.hold_back(False)
        return item

    def release(self) -> None:
        """What ``at_once`` has begun is done."""
        self._is_lent = False
        if self._items:
            self._wake()

    def fail(self, error: Exception) -> None:
        """What ``at_once`` has begun went wrong: whoever waits in ``take`` hears of it."""
        self._failure = error
        self._wake()

    def _put(self, item: bytes | Control | None) -> None:
        if item is None:
            self._gone.set()
        if item is None or self._gone.is_set():
            return
        if not (self._items or self._is_lent) and self._is_waited_for and self._is_taken_at_once(item):
            return
        self._waiting_bytes += _size(item)
        self._items.append(item)
        if not self._is_lent:
            self._wake()
        if self._waiting_bytes > READ_AHEAD_BYTES and not self._holds_back and isinstance(self._link, DirectLink):
            self._holds_back = True
            self._link.hold_back(True)

    @property
    def _is_waited_for(self) -> bool:
        return self._came is not None and not self._came.done()

    def _is_taken_at_once(self, item: bytes | Control) -> bool:
        self._is_lent = True  # before the call: it may be done when it returns
        try:
            if self._at_once(item):
                return True
        except Exception as error:  # noqa: BLE001 - the caller is the connection; whose stream it is must hear of it
            self.fail(error)
            return True
        self._is_lent = False
        return False

    def _wake(self) -> None:
        if self._came is not None and not self._came.done():
            self._came.set_result(None)


def _size(item: bytes | Control) -> int:
    return len(item) if isinstance(item, bytes) else CONTROL_BYTES
