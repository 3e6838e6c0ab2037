"""What becomes of a connection whose client does not read. The transport records what was done to it; time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from app.api import listen_live
from cli.websocket_protocol import DIRECT_MESSAGES, LAST_WORDS_S, WebSocketProtocol
from tests.support.live_shell import run_virtually, settle

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
SOUND = bytes((0x82, 0x84)) + bytes(4) + b"\1\2\3\4"
TEXT = bytes((0x81, 0x82)) + bytes(4) + b"{}"
CLOSE_FRAME = bytes((0x88, 0x82)) + bytes(4) + (1000).to_bytes(2, "big")


class Transport(asyncio.Transport):
    """Its client never reads, so only ``abort`` ends it."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: WebSocketProtocol
        self.written = b""
        self.closing = False
        self.reads = True
        self.aborted_at: float | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.aborted_at = asyncio.get_running_loop().time()
        self.protocol.connection_lost(None)

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True


def connected(*, closes: bool, lasts_s: float = 0.0) -> Transport:
    """A connection that the application has accepted; it lasts a while, then closes or just ends."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(lasts_s)
        if closes:
            await send({"type": "websocket.close", "code": 1000})

    return serving(application)


def serving(application: Any, ping_interval_s: float | None = None) -> Transport:
    """A connection whose handshake has come."""
    config = uvicorn.Config(
        application,
        ws=WebSocketProtocol,
        lifespan="off",
        log_config=None,
        ws_ping_interval=ping_interval_s,
        ws_ping_timeout=20,
    )
    config.load()
    transport = Transport()
    transport.protocol = WebSocketProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    transport.protocol.connection_made(transport)
    transport.protocol.data_received(HANDSHAKE)
    return transport


@pytest.mark.parametrize("closes", [True, False])
def test_some_seconds_after_the_application_the_connection_ends_too(closes: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport = connected(closes=closes, lasts_s=100.0)
        ended = loop.time() + 100
        await asyncio.sleep(101)
        assert transport.aborted_at is None
        await asyncio.sleep(100)
        assert transport.closing
        assert transport.aborted_at == pytest.approx(ended + transport.protocol.close_timeout + LAST_WORDS_S)

    run_virtually(main)


def test_a_server_that_stops_waits_for_seconds_only() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport = connected(closes=False, lasts_s=1000.0)
        await settle()
        stopped = loop.time()
        transport.protocol.shutdown()
        await asyncio.sleep(50)
        assert transport.aborted_at == pytest.approx(stopped + LAST_WORDS_S)
        await asyncio.sleep(1000)

    run_virtually(main)


def test_a_server_stops_also_while_a_client_has_closed_and_does_not_take_the_answer() -> None:
    async def main() -> None:
        transport = connected(closes=False, lasts_s=10.0)
        await settle()
        transport.protocol.data_received(CLOSE_FRAME)
        transport.protocol.shutdown()
        await asyncio.sleep(50)
        assert transport.aborted_at is not None

    run_virtually(main)


def test_a_connection_that_has_ended_is_left_alone() -> None:
    async def main() -> None:
        transport = connected(closes=True, lasts_s=1.0)
        await asyncio.sleep(2)
        transport.protocol.connection_lost(None)
        await asyncio.sleep(100)
        assert transport.aborted_at is None

    run_virtually(main)


class TestMessagesByCalls:
    """The application takes its messages from the connection itself."""

    @staticmethod
    async def accepted(early: bytes = b"") -> tuple[Transport, list[bytes | str | None]]:
        taken: list[bytes | str | None] = []
        asked = asyncio.Event()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            await asked.wait()
            scope["extensions"][DIRECT_MESSAGES]["connection"].deliver_to(taken.append)
            await asyncio.sleep(5)

        transport = serving(application)
        await settle()
        if early:
            transport.protocol.data_received(early)
        asked.set()
        await settle()
        return transport, taken

    def test_the_application_knows_the_extension_by_the_same_name(self) -> None:
        assert DIRECT_MESSAGES == listen_live.DIRECT_MESSAGES

    @pytest.mark.parametrize("early", [b"", SOUND, SOUND[:3], SOUND + TEXT[:8]], ids=["none", "whole", "part", "more"])
    def test_all_arrive_once_and_in_order_also_those_that_came_before(self, early: bytes) -> None:
        async def main() -> None:
            transport, taken = await self.accepted(early)
            rest = (SOUND + TEXT + SOUND + CLOSE_FRAME)[len(early) :]
            for begin in range(0, len(rest), 7):
                transport.protocol.data_received(rest[begin : begin + 7])
            assert taken == [b"\1\2\3\4", "{}", b"\1\2\3\4", None]
            assert transport.reads
            await asyncio.sleep(100)

        run_virtually(main)

    def test_reading_stops_while_the_client_is_held_back(self) -> None:
        async def main() -> None:
            transport, taken = await self.accepted()
            transport.protocol.hold_back(True)
            assert not transport.reads
            transport.protocol.data_received(SOUND + TEXT)
            assert not transport.reads
            assert len(taken) == 2
            transport.protocol.hold_back(False)
            assert transport.reads
            await asyncio.sleep(100)

        run_virtually(main)

    def test_a_message_goes_out_at_once_unless_the_client_does_not_read_or_has_gone(self) -> None:
        async def main() -> None:
            transport, _ = await self.accepted()
            connection = transport.protocol
            transport.written = b""
            assert connection.send_now("hi")
            assert transport.written == b"\x81\x02hi"
            connection.pause_writing()
            assert not connection.send_now("hi")
            connection.resume_writing()
            connection.data_received(CLOSE_FRAME)
            assert not connection.send_now("hi")
            connection.connection_lost(None)
            assert not connection.send_now("hi")
            await asyncio.sleep(100)

        run_virtually(main)


class TestPings:
    """A client that does not answer them is gone, unless its answer may still be on the way."""

    @staticmethod
    def ends_after(happening: Callable[[Transport], Awaitable[None]]) -> float:
        """Seconds from the handshake to the end of a connection whose client answers no ping."""

        async def main() -> float:
            loop = asyncio.get_running_loop()
            left = asyncio.Event()

            async def application(scope: Any, receive: Any, send: Any) -> None:
                await receive()
                await send({"type": "websocket.accept"})
                scope["extensions"][DIRECT_MESSAGES]["connection"].deliver_to(lambda _: None)
                await left.wait()

            transport = serving(application, ping_interval_s=20)
            began = loop.time()
            await settle()
            await happening(transport)
            while not transport.is_closing():
                await asyncio.sleep(1)
            transport.protocol.connection_lost(None)
            left.set()
            await settle()
            return round(loop.time() - began)

        return run_virtually(main)

    def test_one_that_is_silent_is_given_up_at_the_first(self) -> None:
        async def nothing(_: Transport) -> None: ...

        assert self.ends_after(nothing) == pytest.approx(40, abs=2)

    def test_one_that_goes_on_sending_is_not(self) -> None:
        async def send(transport: Transport) -> None:
            for _ in range(100):
                await asyncio.sleep(1)
                transport.protocol.data_received(SOUND)

        assert self.ends_after(send) >= 120

    def test_one_whose_messages_are_left_unread_is_not(self) -> None:
        async def hold(transport: Transport) -> None:
            transport.protocol.hold_back(True)
            await asyncio.sleep(200)
            assert not transport.is_closing()
            transport.protocol.hold_back(False)

        assert self.ends_after(hold) <= 241
