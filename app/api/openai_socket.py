"""A WebSocket of a client that speaks no Deepgram: read with a pulse, answered in order, refused in OpenAI's words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.api.errors import error_response
from app.domain.errors import ClientGone, SttError
from app.domain.stream.events import KeepAlive


async def refuse(socket: WebSocket, error: SttError) -> None:
    """Answer the handshake with the error's status and body instead of the upgrade."""
    await socket.send_denial_response(error_response(error, socket.state.request_id, socket.scope["path"]))


class OpenAiSocket:
    """The messages of one accepted connection. ``pulse_s``: seconds without a message after which ``receive`` says so.

    These protocols know no KeepAlive: whoever talks by pressing a button is silent for minutes. That a client has gone is
    noticed by the pings of the server. ``forget`` must be called in the end.
    """

    def __init__(self, socket: WebSocket, pulse_s: float) -> None:
        self._socket = socket
        self._pulse_s = pulse_s
        self._reading: asyncio.Future[Message] | None = None
        self._writing = asyncio.Lock()
        self.is_gone = False

    async def receive(self) -> bytes | str | KeepAlive | None:
        """The next message; ``KeepAlive`` when none came for the pulse, None once the client is gone."""
        if self.is_gone:
            return None
        if self._reading is None:  # it outlives this call where that is cancelled: no message may get lost
            self._reading = asyncio.ensure_future(self._socket.receive())
        await asyncio.wait({self._reading}, timeout=self._pulse_s)
        if not self._reading.done():
            return KeepAlive()
        message = self._reading.result()
        self._reading = None
        if message["type"] == "websocket.disconnect":
            self.is_gone = True
            return None
        data: bytes | None = message.get("bytes")
        return (message.get("text") or "") if data is None else data

    async def send(self, texts: Sequence[str]) -> None:
        """Send these messages with no other between them. Raises ``ClientGone``."""
        async with self._writing:
            for text in texts:
                await self._out({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str) -> None:
        """Raises ``ClientGone``."""
        async with self._writing:
            await self._out({"type": "websocket.close", "code": code, "reason": reason})

    async def forget(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})

    async def _out(self, message: Message) -> None:
        if not self.is_gone:
            try:
                await self._socket.send(message)
            except (WebSocketDisconnect, RuntimeError):  # the second: the server has closed the connection itself
                self.is_gone = True
        if self.is_gone:
            raise ClientGone
