"""A connection whose client is silent for minutes, and whose reader is stopped in the middle of a wait."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from starlette.websockets import WebSocket

from app.api.openai_socket import OpenAiSocket
from app.domain.errors import ClientGone
from app.domain.stream.events import KeepAlive
from tests.support.live_shell import run_virtually, settle
from tests.support.socket_line import Line


def opened(pulse_s: float = 5.0) -> tuple[Line, OpenAiSocket]:
    line = Line()
    return line, OpenAiSocket(cast("WebSocket", line), pulse_s)


def test_silence_gives_a_pulse_and_the_next_message_still_comes() -> None:
    async def talk() -> None:
        line, socket = opened()
        began = asyncio.get_running_loop().time()
        assert await socket.receive() == KeepAlive()
        assert await socket.receive() == KeepAlive()
        assert asyncio.get_running_loop().time() - began == pytest.approx(10.0)
        line.coming.put_nowait({"type": "websocket.receive", "text": "hello"})
        assert await socket.receive() == "hello"
        line.coming.put_nowait({"type": "websocket.receive", "bytes": b"\1", "text": None})
        assert await socket.receive() == b"\1"
        await socket.forget()

    run_virtually(talk)


def test_a_reader_that_is_stopped_loses_no_message() -> None:
    async def talk() -> None:
        line, socket = opened()
        reader = asyncio.ensure_future(socket.receive())
        await settle()
        line.coming.put_nowait({"type": "websocket.receive", "text": "hello"})
        reader.cancel()
        await asyncio.wait({reader})
        assert await socket.receive() == "hello"
        await socket.forget()

    run_virtually(talk)


def test_a_client_that_has_gone_is_gone_for_everything() -> None:
    async def talk() -> None:
        line, socket = opened()
        line.coming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        assert await socket.receive() is None
        assert await socket.receive() is None
        with pytest.raises(ClientGone):
            await socket.send(["hello"])
        with pytest.raises(ClientGone):
            await socket.close(1000, "")
        assert line.sent == []
        await socket.forget()

    run_virtually(talk)


def test_a_connection_that_the_server_closed_is_gone_too() -> None:
    async def talk() -> None:
        line, socket = opened()
        line.failure = RuntimeError("closed")
        with pytest.raises(ClientGone):
            await socket.send(["hello"])
        assert socket.is_gone

    run_virtually(talk)


def test_messages_of_one_answer_stay_together() -> None:
    async def talk() -> None:
        line, socket = opened()
        line.gates.append(asyncio.Event())
        gate = line.gates[0]
        first = asyncio.ensure_future(socket.send(["a", "b"]))
        await settle()
        second = asyncio.ensure_future(socket.send(["c"]))
        await settle()
        gate.set()
        await asyncio.gather(first, second)
        assert [message["text"] for message in line.sent] == ["a", "b", "c"]

    run_virtually(talk)
