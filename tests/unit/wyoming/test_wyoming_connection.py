"""Events as they come over the wire, and what is done with those that lie about themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from wyoming.client import AsyncTcpClient
from wyoming.event import Event

from app.domain.errors import ClientGone, InvalidPayload, SlowUpload
from app.wyoming.connection import MAX_DATA_BYTES, MAX_LINE_BYTES, MAX_PAYLOAD_BYTES, Connection


@asynccontextmanager
async def joined() -> AsyncIterator[tuple[Connection, asyncio.StreamReader, asyncio.StreamWriter]]:
    """Our side of a connection, and the reader and writer of the other side."""
    accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(
        lambda reader, writer: accepted.set_result(Connection(reader, writer)), "127.0.0.1", 0, limit=MAX_LINE_BYTES
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    connection = await accepted
    try:
        yield connection, reader, writer
    finally:
        writer.close()
        await connection.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        server.close()


def hold(scenario: Callable[[Connection, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
    async def run() -> None:
        async with joined() as (connection, reader, writer):
            await asyncio.wait_for(scenario(connection, reader, writer), 20)

    asyncio.run(run())


def read(*pieces: bytes) -> list[Event]:
    """The events in these bytes; ``InvalidPayload`` where they are none."""
    events: list[Event] = []

    async def scenario(connection: Connection, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join(pieces))
        writer.write_eof()
        while (event := await connection.next()) is not None:
            events.append(event)

    hold(scenario)
    return events


def line(**header: Any) -> bytes:
    return json.dumps(header).encode() + b"\n"


def test_header_data_and_payload_are_put_together() -> None:
    data = b'{"rate": 16000}'
    sent = line(type="audio-chunk", data={"a": 1}, data_length=len(data), payload_length=3) + data + b"abc"
    assert read(sent, line(type="audio-stop")) == [
        Event("audio-chunk", {"a": 1, "rate": 16000}, b"abc"),
        Event("audio-stop", {}, None),
    ]


def test_what_the_packages_own_writer_sends_is_understood() -> None:
    sent = Event("audio-chunk", {"rate": 16_000, "text": "ä"}, bytes(5000))

    async def run() -> Event | None:
        accepted: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(lambda r, w: accepted.set_result(Connection(r, w)), "127.0.0.1", 0)
        async with AsyncTcpClient(*server.sockets[0].getsockname()[:2]) as client:
            await client.write_event(sent)
            connection = await accepted
            heard = await connection.next()
            await connection.close()
        server.close()
        return heard

    assert asyncio.run(run()) == sent


@pytest.mark.parametrize(
    "sent",
    [
        b"\n",
        b"hello\n",
        b"[1]\n",
        b'{"data": {}}\n',
        line(type=5),
        line(type="x", data=[1]),
        line(type="x", data_length=-1),
        line(type="x", data_length="5"),
        line(type="x", data_length=MAX_DATA_BYTES + 1),
        line(type="x", payload_length=MAX_PAYLOAD_BYTES + 1),
        line(type="x", data_length=2) + b"[]",
        line(type="x", data_length=2) + b"{x",
        line(type="x" * MAX_LINE_BYTES),
        b"[" * 60_000 + b"\n",
    ],
)
def test_what_is_no_event_is_refused(sent: bytes) -> None:
    with pytest.raises(InvalidPayload):
        read(sent)


@pytest.mark.parametrize("sent", [b"", b'{"type": "x"', line(type="x", payload_length=5) + b"abc"])
def test_who_leaves_in_the_middle_is_gone(sent: bytes) -> None:
    if sent == b'{"type": "x"':
        with pytest.raises(InvalidPayload):
            read(sent)
    else:
        assert read(sent) == []


def test_reading_stops_while_nobody_takes_events() -> None:
    async def scenario(connection: Connection, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        piece = line(type="audio-chunk", payload_length=MAX_PAYLOAD_BYTES) + bytes(MAX_PAYLOAD_BYTES)
        sending = asyncio.ensure_future(_send_all(writer, piece, 40))
        first = await connection.next()
        assert first is not None
        for _ in range(200):
            await asyncio.sleep(0)
        assert not sending.done()
        for _ in range(39):
            assert await connection.next() is not None
        await sending

    hold(scenario)


async def _send_all(writer: asyncio.StreamWriter, piece: bytes, times: int) -> None:
    for _ in range(times):
        writer.write(piece)
        await writer.drain()


def test_a_peek_takes_nothing() -> None:
    async def scenario(connection: Connection, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line(type="ping"))
        assert await connection.peek()
        assert await connection.peek()
        event = await connection.next()
        assert event is not None
        assert event.type == "ping"
        writer.write_eof()
        assert not await connection.peek()
        assert await connection.next() is None

    hold(scenario)


def test_who_says_nothing_is_not_waited_for_for_ever() -> None:
    async def scenario(connection: Connection, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with pytest.raises(SlowUpload):
            await connection.next(timeout_s=0.0)
        writer.write(line(type="ping"))
        assert await connection.next() is not None

    hold(scenario)


def test_a_refusal_arrives_though_the_client_goes_on_sending() -> None:
    async def scenario(connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        piece = line(type="audio-chunk", payload_length=100_000) + bytes(100_000)
        refusing = asyncio.ensure_future(connection.refuse(Event("error", {"text": "no"})))
        await _send_all(writer, piece, 100)
        writer.write_eof()
        assert b'"error"' in await reader.readline()
        await reader.read()
        await refusing

    hold(scenario)


def test_the_last_words_arrive_though_the_client_goes_on_sending() -> None:
    async def scenario(connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        piece = line(type="audio-chunk", payload_length=100_000) + bytes(100_000)
        await connection.send(Event("transcript", {"text": "yes"}))
        closing = asyncio.ensure_future(connection.close())
        await _send_all(writer, piece, 100)
        writer.write_eof()
        assert b'"transcript"' in await reader.readline()
        await reader.read()
        await closing

    hold(scenario)


def test_sending_to_nobody_is_told() -> None:
    async def scenario(connection: Connection, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        assert await connection.next() is None
        with pytest.raises(ClientGone):
            await _send_for_ever(connection)

    hold(scenario)


async def _send_for_ever(connection: Connection) -> None:
    while True:
        await connection.send(Event("pong", {}, bytes(100_000)))
