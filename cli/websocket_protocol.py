"""WebSockets of the server: uvicorn's protocol over the websockets library, and an end for clients that never read.

The library unmasks frames in C, so a message costs less than over wsproto (docs/decisions/0009-hundreds-of-streams.md).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.exceptions import InvalidState

LINE_BYTES = 1 << 20
"""Longest line of a handshake. The HTTP parser in front of it has read the request already, and the application answers a
query that is too long with 414; the library's 8 KiB would refuse lists of key terms before."""

LAST_WORDS_S = 3.0
"""Seconds in which a client must take what is still unsent once the application, or the server, is done with it."""

http11.MAX_LINE_LENGTH = max(http11.MAX_LINE_LENGTH, LINE_BYTES)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Closing a transport waits until everything is sent: for ever, if the client does not read. Here it waits some seconds,
    so that such clients keep neither memory nor the end of the server.
    """

    _abort_timer: asyncio.TimerHandle | None = None

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            self._abort_in(self.close_timeout + LAST_WORDS_S)

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # it was refused in order; uvicorn would log an error of the application

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated and not self.transport.is_closing():
            # uvicorn leaves the refusal of a broken handshake in the library's buffer, and the connection open
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def shutdown(self) -> None:
        with suppress(InvalidState):  # the client has closed, and does not take the answer
            super().shutdown()
        self.transport.close()
        self._abort_in(LAST_WORDS_S)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._abort_timer is not None:
            self._abort_timer.cancel()

    def _abort_in(self, seconds: float) -> None:
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        if not self.disconnected:
            self._abort_timer = self.loop.call_later(seconds, self.transport.abort)
