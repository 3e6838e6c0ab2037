"""WebSockets of the server: uvicorn's protocol over the websockets library, a short way for sound, and an end for clients
that never read.

The library unmasks frames in C, so a message costs less than over wsproto (docs/decisions/0009-hundreds-of-streams.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.exceptions import InvalidState

from cli.websocket_frames import FrameSplitter

LINE_BYTES = 1 << 20
"""Longest line of a handshake. The HTTP parser in front of it has read the request already, and the application answers a
query that is too long with 414; the library's 8 KiB would refuse lists of key terms before."""

LAST_WORDS_S = 3.0
"""Seconds in which a client must take what is still unsent once the application, or the server, is done with it."""

DIRECT_MESSAGES = "direct_messages"
"""The extension of the ASGI scope under which an application finds its connection, for messages by calls."""

Take = Callable[[bytes | str | None], None]
"""What takes a message, or None once the client is gone (this may come twice)."""

http11.MAX_LINE_LENGTH = max(http11.MAX_LINE_LENGTH, LINE_BYTES)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Closing a transport waits until everything is sent: for ever, if the client does not read. Here it waits some seconds,
    so that such clients keep neither memory nor the end of the server.

    An application that has accepted may ask for its messages by calls (``deliver_to``). Through ASGI a message costs a
    queue, a task's turn and layers of middleware, and reading stops and starts again.
    """

    _abort_timer: asyncio.TimerHandle | None = None
    _splitter: FrameSplitter | None = None
    _is_held_back = False
    _has_early_data = False
    _has_heard = False

    # ---- messages by calls ----

    def deliver_to(self, take: Take) -> None:
        """Give each message to ``take`` from now on, those that wait first. ``receive`` must not be called any more.

        Call it once, after the handshake has been accepted.
        """
        waiting, self.queue = self.queue, _Delivery(take)
        if not self._has_early_data:  # else nobody knows where its next frame begins
            self._splitter = FrameSplitter(self.config.ws_max_size)
        while not waiting.empty():
            self.queue.put_nowait(waiting.get_nowait())
        self._resume()

    def hold_back(self, hold: bool) -> None:
        """Stop reading from the client, or read again. What has been read already is still delivered."""
        self._is_held_back = hold
        if hold:
            self.read_paused = True
            self.transport.pause_reading()
        else:
            self._resume()

    def send_now(self, text: str) -> bool:
        """Send a message if the client takes it without waiting. False: nothing was done."""
        if self.disconnected or self.close_sent or not self.handshake_complete or not self.writable.is_set():
            return False
        try:
            self.conn.send_text(text.encode())
        except InvalidState:  # the client has closed
            return False
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True

    def send_receive_event_to_app(self) -> None:
        super().send_receive_event_to_app()
        self._resume()

    def _resume(self) -> None:
        if isinstance(self.queue, _Delivery) and not self._is_held_back and self.read_paused:
            self.read_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    # ---- uvicorn's ----

    async def run_asgi(self) -> None:
        extensions = cast("dict[str, Any]", self.scope["extensions"])
        extensions[DIRECT_MESSAGES] = {"connection": self}
        try:
            await super().run_asgi()
        finally:
            self._abort_in(self.close_timeout + LAST_WORDS_S)

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # it was refused in order; uvicorn would log an error of the application

    def send_keepalive_ping(self) -> None:
        self._has_heard = False
        super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """The answer to a ping comes behind all that the client has sent before it. While that is still being read, or held
        back because the engine cannot keep up, its absence says nothing."""
        if self._has_heard or self.read_paused:
            self._has_heard = False
            self.pong_timer = self.loop.call_later(cast("float", self.ping_timeout), self.keepalive_timeout)
        else:
            super().keepalive_timeout()

    def data_received(self, data: bytes) -> None:
        self._has_heard = True
        if self._splitter is None:
            self._has_early_data = self._has_early_data or self.handshake_initiated
            self._give_to_library(data)
            return
        for is_sound, part in self._splitter.split(data):
            if self.disconnected or self.transport.is_closing():
                return
            if not is_sound:
                self._give_to_library(part)
            elif not self.close_sent:  # what comes after that is thrown away
                self.queue.put_nowait({"type": "websocket.receive", "bytes": part})

    def _give_to_library(self, data: bytes) -> None:
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


class _Delivery(asyncio.Queue[Any]):
    """Stands where uvicorn puts the events of a connection, and passes them on as messages."""

    def __init__(self, take: Take) -> None:
        super().__init__()
        self._deliver = take

    def put_nowait(self, item: Any) -> None:
        if item["type"] == "websocket.disconnect":
            self._deliver(None)
            self._deliver = lambda _: None  # whoever took messages knows the connection: neither would go otherwise
            return
        data = item.get("bytes")
        self._deliver(item["text"] if data is None else data)
