"""One Wyoming peer: events read ahead within limits, written in order.

The package's own reader believes every length that a peer announces; this one does not.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from wyoming.event import Event, async_write_event

from app.domain.errors import ClientGone, InvalidPayload, SlowUpload, SttError

MAX_LINE_BYTES = 64 * 1024
"""Header of an event. Must be given to the stream reader, which enforces it."""

MAX_DATA_BYTES = 256 * 1024
"""Its data: the names of a large home are 100 KB."""

MAX_PAYLOAD_BYTES = 1024 * 1024
"""Its sound: half a minute at 16 kHz. Clients send tenths of seconds."""

_READ_AHEAD = 4
_FAREWELL_S = 30.0
"""Seconds that a client which was refused may go on sending before the connection is cut under it."""


_GOODBYE_S = 1.0
"""Seconds that any other client may go on sending once the connection ends: when the server stops."""

_FLUSH_S = 5.0
"""Seconds that the last words may take to a client that reads slowly."""


class Connection:
    """Reading is a task of its own, so that a client that leaves is noticed while somebody works for it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._events: asyncio.Queue[Event | SttError | None] = asyncio.Queue(_READ_AHEAD)
        self._pending: Event | SttError | None = None
        self._has_pending = False
        self._reading = asyncio.ensure_future(self._read_all())

    async def next(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None: the client is gone. Raises ``InvalidPayload`` for what is none and ``SlowUpload``."""
        try:
            await asyncio.wait_for(self.peek(), timeout_s)
        except asyncio.TimeoutError:
            raise SlowUpload("Nothing came for too long.") from None
        item = self._pending
        self._has_pending = item is None  # the end stays: whoever asks again must not wait for what never comes
        if isinstance(item, SttError):
            raise item
        return item

    async def peek(self) -> bool:
        """Wait for an event and leave it there. False: the client is gone."""
        if not self._has_pending:
            self._pending = await self._events.get()
            self._has_pending = True
        return self._pending is not None

    async def send(self, *events: Event) -> None:
        """Raises ``ClientGone``."""
        try:
            for event in events:
                await async_write_event(event, self._writer)
        except (ConnectionError, OSError):
            raise ClientGone from None

    async def refuse(self, event: Event) -> None:
        """Say why, then wait for the client to leave: cutting the connection while it sends would lose the reason."""
        try:
            await self.send(event)
        except ClientGone:
            return
        await self._see_off(_FAREWELL_S)

    async def close(self) -> None:
        """Give everything back. A client that is still sending gets a moment to read what it was told last."""
        try:
            await self._see_off(_GOODBYE_S)
            self._reading.cancel()
            await asyncio.wait({self._reading})
            self._writer.close()
            await asyncio.wait_for(self._writer.wait_closed(), _FLUSH_S)
        except (OSError, asyncio.TimeoutError):  # nobody takes the last words
            pass
        finally:  # also when this is cancelled
            self._reading.cancel()
            self._writer.transport.abort()

    async def _see_off(self, timeout_s: float) -> None:
        """Say that nothing more comes, and wait for the client to leave: sound that nobody reads resets a connection."""
        try:
            if self._writer.can_write_eof() and not self._writer.is_closing():
                self._writer.write_eof()
            await asyncio.wait_for(self._drop_all(), timeout_s)
        except (OSError, asyncio.TimeoutError):
            pass

    async def _drop_all(self) -> None:
        while await self.peek() and not isinstance(self._pending, SttError):
            self._has_pending = False

    async def _read_all(self) -> None:
        try:
            while (event := await self._read()) is not None:
                await self._events.put(event)
        except (ConnectionError, OSError, asyncio.IncompleteReadError):
            pass
        except SttError as error:
            await self._events.put(error)
        await self._events.put(None)

    async def _read(self) -> Event | None:
        try:
            line = await self._reader.readline()
        except ValueError:
            raise InvalidPayload("The header of an event is too long.") from None
        if not line:
            return None
        header = _object(line)
        kind, data = header.get("type"), header.get("data") or {}
        if not isinstance(kind, str) or not isinstance(data, dict):
            raise InvalidPayload("An event needs a type, and an object as its data.")
        further = await self._part(header, "data_length", MAX_DATA_BYTES)
        payload = await self._part(header, "payload_length", MAX_PAYLOAD_BYTES)
        return Event(kind, data | _object(further) if further else data, payload or None)

    async def _part(self, header: dict[str, Any], name: str, most: int) -> bytes:
        length = header.get(name) or 0
        if not isinstance(length, int) or not 0 <= length <= most:
            raise InvalidPayload(f"{name}: expected 0 to {most}.")
        return await self._reader.readexactly(length)


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(text)  # Python's own takes halves of characters, which no answer could hold
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InvalidPayload("An event must be a JSON object.")
    return value
