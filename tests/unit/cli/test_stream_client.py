from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from cli.live_client import LiveFailure, connected, converse
from tests.support.live_server import (
    METADATA,
    LiveServer,
    Refusal,
    Script,
    hear_all,
    live_server,
    results,
    say,
    transcribe,
)
from tests.support.tcp_server import start_tcp_server

PIECE = bytes(3_200)


class Pieces:
    """A source that is written down. ``before_last`` is awaited before the last piece; ``failure`` ends it."""

    sample_rate = 16_000
    channels = 1

    def __init__(self, count: int, before_last: asyncio.Event | None = None, failure: Exception | None = None) -> None:
        self._count = count
        self._before_last = before_last
        self._failure = failure
        self.given = 0

    async def pieces(self) -> AsyncIterator[bytes]:
        for index in range(self._count):
            if index == self._count - 1 and self._before_last is not None:
                await self._before_last.wait()
            self.given += 1
            yield PIECE
        if self._failure is not None:
            raise self._failure


async def held(server: LiveServer, source: Pieces, stop: asyncio.Event | None = None, **given: Any) -> list[dict[str, Any]]:
    heard: list[dict[str, Any]] = []
    async with connected(server.url, "a-key") as connection:
        await converse(connection, source, heard.append, stop or asyncio.Event(), **given)
    return heard


def against(script: Script, source: Pieces, **given: Any) -> tuple[LiveServer, list[dict[str, Any]]]:
    async def run() -> tuple[LiveServer, list[dict[str, Any]]]:
        async with live_server(script) as server:
            return server, await held(server, source, **given)

    return asyncio.run(run())


def failure_of(script: Script, source: Pieces | None = None) -> str:
    with pytest.raises(LiveFailure) as caught:
        against(script, source or Pieces(1))
    return str(caught.value)


def test_all_sound_goes_out_then_close_stream_and_every_message_comes_back() -> None:
    server, heard = against(transcribe, Pieces(5))
    assert server.sound == PIECE * 5
    assert server.received[-1] == '{"type":"CloseStream"}'
    assert server.controls == [{"type": "CloseStream"}]
    assert heard == [results("hello", final=False), results("Hello world."), METADATA]


def test_the_key_goes_as_token_and_no_key_as_nothing() -> None:
    async def authorization(key: str | None) -> list[str]:
        async with live_server() as server, connected(server.url, key) as connection:
            await connection.send('{"type":"CloseStream"}')
            await connection.recv()
            assert server.request is not None
            return server.request.headers.get_all("Authorization")

    assert asyncio.run(authorization("abc")) == ["Token abc"]
    assert asyncio.run(authorization(None)) == []


def test_a_source_that_pauses_keeps_the_stream_alive() -> None:
    going_on = asyncio.Event()

    async def script(connection: ServerConnection, server: LiveServer) -> None:
        async for data in connection:
            server.received.append(data)
            if server.controls == [{"type": "KeepAlive"}]:
                going_on.set()
            if server.controls[-1:] == [{"type": "CloseStream"}]:
                return

    server, _ = against(script, Pieces(2, before_last=going_on), keep_alive_s=0.01)
    assert server.sound == PIECE * 2
    assert {"type": "KeepAlive"} in server.controls


def test_stopping_asks_for_the_rest_and_waits_for_it() -> None:
    stop, never = asyncio.Event(), asyncio.Event()

    async def script(connection: ServerConnection, server: LiveServer) -> None:
        server.received.append(await connection.recv())
        stop.set()
        await transcribe(connection, server)

    source = Pieces(2, before_last=never)
    server, heard = against(script, source, stop=stop)
    assert server.sound == PIECE
    assert server.controls == [{"type": "CloseStream"}]
    assert heard[-1] == METADATA


def test_a_source_that_fails_is_reported_once_everything_before_it_was_answered() -> None:
    heard: list[dict[str, Any]] = []

    async def run() -> LiveServer:
        async with live_server() as server, connected(server.url, None) as connection:
            with pytest.raises(OSError, match="the disk is gone"):
                await converse(connection, Pieces(2, failure=OSError("the disk is gone")), heard.append, asyncio.Event())
            return server

    server = asyncio.run(run())
    assert server.sound == PIECE * 2
    assert heard[-1] == METADATA


@pytest.mark.parametrize(
    ("code", "reason", "sentence"),
    [
        (1011, "NET-0001", "heard nothing for too long and ended the stream (1011 NET-0001)."),
        (1008, "DATA-0000", "could not read the sound (1008 DATA-0000)."),
        (1001, "", "is shutting down; what it had heard has been printed (1001)."),
        (1011, "internal error", "broke the stream off (1011 internal error)."),
    ],
)
def test_a_server_that_ends_the_stream_says_why(code: int, reason: str, sentence: str) -> None:
    async def script(connection: ServerConnection, server: LiveServer) -> None:
        await hear_all(connection, server)
        await connection.close(code, reason)

    assert failure_of(script).endswith(sentence)


def test_a_connection_that_breaks_off_is_a_failure() -> None:
    async def script(connection: ServerConnection, server: LiveServer) -> None:
        await hear_all(connection, server)
        connection.transport.abort()

    assert "broke off (1006)" in failure_of(script)


def test_an_end_in_order_before_everything_was_sent_is_a_failure() -> None:
    never = asyncio.Event()

    async def script(connection: ServerConnection, _: LiveServer) -> None:
        await say(connection, METADATA)

    assert "before all the sound was sent" in failure_of(script, Pieces(1, before_last=never))


@pytest.mark.parametrize("answer", ["<html>", "[1]", '"words"'])
def test_a_server_that_speaks_otherwise_is_a_failure(answer: str) -> None:
    async def script(connection: ServerConnection, server: LiveServer) -> None:
        await connection.send(answer)
        await hear_all(connection, server)

    assert "not with JSON" in failure_of(script)


def refused(refusal: Refusal) -> str:
    async def run() -> str:
        async with live_server(refusal=refusal) as server:
            with pytest.raises(LiveFailure) as caught:
                await held(server, Pieces(1))
            return str(caught.value)

    return asyncio.run(run())


def test_a_refusal_gives_status_and_reason_of_the_server_and_the_request_to_ask_about() -> None:
    headers = {"dg-error": "Bad Request: no such model", "dg-request-id": "0-1-2"}
    said = refused(Refusal(400, headers, b'{"err_msg": "other"}'))
    assert said == "The server refused the stream: 400 Bad Request: no such model. (request 0-1-2)"


def test_a_wrong_key_comes_with_where_to_put_the_right_one() -> None:
    said = refused(Refusal(401, {"dg-error": "Invalid credentials."}))
    assert said.startswith("The server refused the stream: 401 Invalid credentials. Give a valid key with --key")
    assert "a-key" not in said


def test_a_busy_server_says_when_to_come_back() -> None:
    assert refused(Refusal(429, {"dg-error": "Too many requests", "Retry-After": "5"})).endswith("Try again in 5 s.")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"err_msg":"No."}', "No."),
        (b'{"message":"Not now"}', "Not now."),
        (b"<html>", "Not Found."),
        (b"[]", "Not Found."),
    ],
)
def test_without_the_header_the_reason_is_in_the_body_or_the_status(body: bytes, reason: str) -> None:
    said = refused(Refusal(404, {}, body))
    assert said == f"The server refused the stream: 404 {reason} Is --url the address of the server?"


def test_what_a_stranger_answers_cannot_drive_the_terminal() -> None:
    said = refused(Refusal(400, {}, b'{"err_msg": "\\u001b[2Jgone\\u009b"}'))
    assert said == "The server refused the stream: 400 [2Jgone."


def test_nobody_there_is_said_with_the_way_to_start_a_server() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        server = LiveServer(url=f"ws://127.0.0.1:{taken.getsockname()[1]}/v1/listen")
        with pytest.raises(LiveFailure, match=r"nobody listens there. `whisperapi serve`"):
            asyncio.run(held(server, Pieces(1)))


def test_a_server_of_another_kind_is_named_so() -> None:
    async def run() -> None:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mail.example.org ESMTP\r\n")
            await writer.drain()
            writer.close()

        async with await start_tcp_server(greet) as mail:
            port = mail.sockets[0].getsockname()[1]
            await held(LiveServer(url=f"ws://127.0.0.1:{port}/v1/listen"), Pieces(1))

    with pytest.raises(LiveFailure, match="no server for live streams"):
        asyncio.run(run())


def test_a_proxy_for_the_internet_is_not_asked_for_a_server_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    _, heard = against(transcribe, Pieces(1))
    assert heard[-1] == METADATA
