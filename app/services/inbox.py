"""What a live client has sent and nobody has worked on yet: read ahead of the work, within bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

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


class Inbox:
    """``fill`` runs as a task of its own; ``take`` is for the one who works. Made inside the event loop that runs both."""

    def __init__(self, link: ClientLink) -> None:
        self._link = link
        self._items: deque[bytes | Control] = deque()
        self._loop = asyncio.get_running_loop()
        self._came: asyncio.Future[None] | None = None  # a queue would ask the system for its process at each wait
        self._waiting_bytes = 0
        self._taken = asyncio.Event()

    async def fill(self) -> None:
        """Read from the client. Returns when it is gone."""
        while (item := await self._link.receive()) is not None:
            self._waiting_bytes += _size(item)
            self._items.append(item)
            if self._came is not None and not self._came.done():
                self._came.set_result(None)
            while self._waiting_bytes > READ_AHEAD_BYTES:
                self._taken.clear()
                await self._taken.wait()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits to be taken."""
        return not self._items

    async def take(self) -> bytes | Control:
        """The next message, waiting for it if need be; where more have come already, others get their turn first."""
        if self._items:
            await asyncio.sleep(0)
        while not self._items:
            self._came = self._loop.create_future()
            await self._came
        item = self._items.popleft()
        self._waiting_bytes -= _size(item)
        self._taken.set()
        return item


def _size(item: bytes | Control) -> int:
    return len(item) if isinstance(item, bytes) else CONTROL_BYTES
