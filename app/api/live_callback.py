"""A live stream whose messages go to a callback: the client's own connection carries audio in and nothing out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from app.dialects.deepgram_stream import StreamRenderer
from app.domain.errors import ClientGone
from app.domain.jobs import Callback
from app.domain.ports import CallbackSink, DeliveryFailed, LiveCallbacks
from app.domain.stream.events import CloseStream, Control, StreamEvent
from app.services.inbox import ClientLink
from app.telemetry import logger

UNDELIVERED = 1011, "NET-0000"
"""How a stream ends whose callback takes no messages any more (contract 3.7)."""

_log = logger(__name__)


@asynccontextmanager
async def opened_sink(
    callbacks: LiveCallbacks, callback: Callback | None, headers: Mapping[str, str]
) -> AsyncIterator[CallbackSink | None]:
    """Where messages go; None: to the client. Refused like the handshake when the callback cannot be used."""
    if callback is None:
        yield None
        return
    sink = await callbacks.open(callback, headers)
    try:
        yield sink
    finally:
        await sink.close()


class CallbackLink:
    """A ``ClientLink`` around the client's own. Made inside the event loop; ``sink`` stays the maker's to close.

    A client that leaves has only ended its audio: what was said in it is still told to the callback.
    """

    def __init__(self, client: ClientLink, sink: CallbackSink, renderer: StreamRenderer) -> None:
        self._client = client
        self._sink = sink
        self._renderer = renderer
        self._has_left = False

    async def receive(self) -> bytes | Control | None:
        if self._has_left:
            await self._sink.dropped()
            return None
        reading = asyncio.ensure_future(self._client.receive())
        dropped = asyncio.ensure_future(self._sink.dropped())
        try:
            await asyncio.wait({reading, dropped}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                item = reading.result()
                self._has_left = item is None
                return CloseStream() if item is None else item
        finally:
            reading.cancel()
            dropped.cancel()
        _log.info("callback of a stream dropped")
        with suppress(ClientGone):
            await self._client.close(*UNDELIVERED)
        return None

    async def send(self, event: StreamEvent, sha256: str) -> None:
        message = self._renderer.render(event, sha256)
        if message is None:
            return
        try:
            await self._sink.send(message)
        except DeliveryFailed as failure:
            _log.info("callback of a stream failed", problem=str(failure))
            await self._client.close(*UNDELIVERED)
            raise ClientGone from None

    async def close(self, code: int, reason: str) -> None:
        await self._client.close(code, reason)
