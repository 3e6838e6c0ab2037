"""What a live client has sent and nobody has worked on yet: read ahead of the work, within bounds."""

from __future__ import annotations

import asyncio
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
    """

    async def receive(self) -> bytes | Control | None: ...

    async def send(self, event: StreamEvent, sha256: str) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


class Inbox:
    """``fill`` runs as a task of its own; ``take`` is for the one who works."""

    def __init__(self, link: ClientLink) -> None:
        self._link = link
        self._items: asyncio.Queue[bytes | Control] = asyncio.Queue()
        self._waiting_bytes = 0
        self._taken = asyncio.Event()

    async def fill(self) -> None:
        """Read from the client. Returns when it is gone."""
        while (item := await self._link.receive()) is not None:
            self._waiting_bytes += _size(item)
            self._items.put_nowait(item)
            while self._waiting_bytes > READ_AHEAD_BYTES:
                self._taken.clear()
                await self._taken.wait()

    async def take(self) -> bytes | Control:
        """The next message, waiting for it if need be; where more have come already, others get their turn first."""
        if not self._items.empty():
            await asyncio.sleep(0)
        item = await self._items.get()
        self._waiting_bytes -= _size(item)
        self._taken.set()
        return item


def _size(item: bytes | Control) -> int:
    return len(item) if isinstance(item, bytes) else CONTROL_BYTES
