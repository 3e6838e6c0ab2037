"""What a stream has to tell its client: at once where the client takes it, else in order as it takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from app.domain.errors import ClientGone
from app.domain.stream.events import Closed, Metadata, StreamEvent
from app.services.inbox import ClientLink, DirectLink
from app.services.time_limit import TimeLimit

SEND_TIMEOUT_S = 30.0
"""Seconds a client may refuse to take a message before the stream is given up (contract 3.7, NET-0000)."""

FAREWELL_S = 1.0
"""Seconds that the last word to such a client may take. It is sent for form's sake: nobody reads it."""


class Outgoing:
    """``write`` runs as a task of its own. Made inside the event loop that runs it.

    ``digest`` says the hash of the audio for ``Metadata``; ``on_progress`` is called for every event that leaves the queue.
    """

    def __init__(self, link: ClientLink, digest: Callable[[], str], on_progress: Callable[[], None]) -> None:
        self._link = link
        self._direct_link = link if isinstance(link, DirectLink) else None
        self._digest = digest
        self._on_progress = on_progress
        self._events: asyncio.Queue[StreamEvent] = asyncio.Queue()
        self._is_sending = False

    @property
    def waiting(self) -> int:
        """Events that nobody has begun to send."""
        return self._events.qsize()

    def put(self, event: StreamEvent) -> None:
        """Send it, after all that was put before."""
        if self._must_wait(event) or self._direct_link is None or not self._direct_link.send_now(event):
            self._events.put_nowait(event)

    async def write(self) -> None:
        """Send what waits. Returns after the last event, or when the client does not take them."""
        while True:
            self._is_sending = False
            event = await self._events.get()
            self._is_sending = True
            self._on_progress()
            try:
                with TimeLimit(SEND_TIMEOUT_S):
                    if isinstance(event, Closed):
                        await self._link.close(event.code, event.reason)
                        return
                    await self._link.send(event, self._digest() if isinstance(event, Metadata) else "")
            except ClientGone:
                return
            except asyncio.TimeoutError:
                await self.give_up(1011, "NET-0000")
                return

    async def give_up(self, code: int, reason: str) -> None:
        """Close at once, whatever still waits."""
        with suppress(ClientGone, asyncio.TimeoutError), TimeLimit(FAREWELL_S):
            await self._link.close(code, reason)

    def _must_wait(self, event: StreamEvent) -> bool:
        return self._is_sending or not self._events.empty() or isinstance(event, Metadata | Closed)
