"""``WS /v1/listen`` with a callback: messages go there, the client hears nothing but the close (contract 3.1)."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.asyncio.server import ServerConnection

from app.services.accounts import STATIC_KEY_ID
from tests.support.app import Stage, staged
from tests.support.callback_receiver import Receiver, receiver
from tests.support.live_server import LiveServer, Refusal, running
from tests.support.live_talk import CLOSE, RAW, Talk, read_to_the_end, refusal, send, tone

HEARD = "Hello world. How are you?"


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, callback_allow="127.0.0.1") as made:
        yield made


def path(callback: str, extra: str = "") -> str:
    return f"/v1/listen?{RAW}&punctuate=true&callback={quote(callback, safe='')}{extra}"


def talk(stage: Stage, callback: str, extra: str = "") -> Talk:
    with stage.client.websocket_connect(path(callback, extra)) as socket:
        send(socket, tone(2.0), CLOSE)
        return read_to_the_end(socket)


def received(hook: Receiver) -> list[Any]:
    return [hook.next() for _ in range(hook.received.qsize())]


def text(messages: list[Any]) -> str:
    finals = [message for message in messages if message["type"] == "Results" and message["is_final"]]
    return " ".join(filter(None, (final["channel"]["alternatives"][0]["transcript"] for final in finals)))


class TestRequests:
    def test_each_message_is_one_in_order(self, stage: Stage, hook: Receiver) -> None:
        heard = talk(stage, hook.url(), "&interim_results=true")
        assert heard.messages == []
        assert heard.code == 1000
        deliveries = received(hook)
        messages = [delivery.json for delivery in deliveries]
        assert text(messages) == HEARD
        assert [message["type"] for message in messages].index("Metadata") == len(messages) - 1
        assert {delivery.method for delivery in deliveries} == {"POST"}
        assert {delivery.headers["content-type"] for delivery in deliveries} == {"application/json"}
        assert {delivery.headers["dg-token"] for delivery in deliveries} == {STATIC_KEY_ID}
        assert {delivery.headers["dg-request-id"] for delivery in deliveries} == {messages[-1]["request_id"]}

    def test_are_put_with_basic_authorization_where_that_is_asked_for(self, stage: Stage, hook: Receiver) -> None:
        talk(stage, hook.url(user="me:secret"), "&callback_method=put")
        for delivery in received(hook):
            assert delivery.method == "PUT"
            assert delivery.headers["authorization"] == "Basic bWU6c2VjcmV0"

    def test_are_repeated(self, stage: Stage) -> None:
        with receiver([500, 500]) as hook:
            heard = talk(stage, hook.url())
            messages = [delivery.json for delivery in received(hook)]
        assert heard.code == 1000
        assert messages[0] == messages[1] == messages[2]
        assert text(messages[2:]) == HEARD

    def test_that_fail_for_good_end_the_stream(self, stage: Stage) -> None:
        with receiver([500, 500, 500]) as hook:
            heard = talk(stage, hook.url())
            assert len(received(hook)) == 3
        assert (heard.messages, heard.code, heard.reason) == ([], 1011, "NET-0000")


@contextmanager
def relay(stop_after: int | None = None) -> Iterator[tuple[LiveServer, threading.Event]]:
    """A server that keeps what comes and closes after so many messages; the event is set when it has been closed."""
    ended = threading.Event()

    async def script(connection: ServerConnection, server: LiveServer) -> None:
        try:
            async for message in connection:
                server.received.append(message)
                await connection.send("nobody reads this")
                if stop_after is not None and len(server.received) >= stop_after:
                    return
        finally:
            ended.set()

    with running(script) as server:
        yield server, ended


class TestSockets:
    def test_messages_are_relayed_as_text(self, stage: Stage) -> None:
        with relay() as (server, ended):
            heard = talk(stage, server.url.replace("ws://", "ws://me:secret@") + "?room=1")
            assert ended.wait(60)
        assert (heard.messages, heard.code) == ([], 1000)
        assert all(isinstance(message, str) for message in server.received)
        messages = [json.loads(message) for message in server.received]
        assert text(messages) == HEARD
        assert messages[-1]["type"] == "Metadata"
        assert server.request is not None
        assert server.request.path == "/v1/listen?room=1"
        assert server.request.headers["authorization"] == "Basic bWU6c2VjcmV0"
        assert server.request.headers["dg-token"] == STATIC_KEY_ID
        assert server.request.headers["dg-request-id"] == messages[-1]["request_id"]

    def test_a_socket_that_drops_ends_the_stream(self, stage: Stage) -> None:
        with (
            relay(stop_after=1) as (server, _),
            stage.client.websocket_connect(path(server.url, "&interim_results=true")) as socket,
        ):
            send(socket, tone(2.0))
            heard = read_to_the_end(socket)
        assert (heard.messages, heard.code, heard.reason) == ([], 1011, "NET-0000")

    def test_one_that_drops_in_silence_does_too(self, stage: Stage) -> None:
        async def hang_up(_: ServerConnection, __: LiveServer) -> None:
            await asyncio.sleep(0)

        with running(hang_up) as server, stage.client.websocket_connect(path(server.url)) as socket:
            heard = read_to_the_end(socket)
        assert (heard.code, heard.reason) == (1011, "NET-0000")

    @pytest.mark.parametrize("farewell", [(), (CLOSE,)])
    def test_what_a_client_said_is_told_though_it_has_left(self, stage: Stage, farewell: tuple[str, ...]) -> None:
        with relay() as (server, ended), stage.client.websocket_connect(path(server.url)) as socket:
            send(socket, tone(2.0), *farewell)
            socket.close()
            assert ended.wait(60)
        messages = [json.loads(message) for message in server.received]
        assert text(messages) == HEARD
        assert messages[-1]["type"] == "Metadata"
        assert stage.app.state.services.live.active == 0

    def test_nobody_is_left_on_either_side(self, stage: Stage) -> None:
        with relay(stop_after=1) as (server, ended), stage.client.websocket_connect(path(server.url)) as socket:
            send(socket, tone(2.0))
            socket.close()
            assert ended.wait(60)
        assert stage.app.state.services.live.active == 0


class TestRefusals:
    @pytest.mark.parametrize("url", ["example.com", "ftp://example.com/", "ws://", "wss://[x/"])
    def test_what_is_no_url_of_http_or_websockets(self, stage: Stage, url: str) -> None:
        answer = refusal(stage.client, path(url))
        assert answer.status_code == 400
        assert json.loads(answer.content)["err_msg"] == "Invalid query string."

    @pytest.mark.parametrize("url", ["http://10.0.0.1/", "ws://10.0.0.1/", "wss://[::1]/"])
    def test_private_addresses(self, stage: Stage, url: str) -> None:
        answer = refusal(stage.client, path(url))
        assert answer.status_code == 400
        body = json.loads(answer.content)
        assert (body["err_code"], body["err_msg"]) == (
            "REMOTE_CONTENT_ERROR",
            "The URL of the callback is not publicly routable.",
        )

    @pytest.mark.parametrize("status", [403, 302])
    def test_a_socket_that_is_refused_or_sent_elsewhere(self, stage: Stage, status: int) -> None:
        with running(refusal=Refusal(status, {"Location": "/elsewhere"})) as server:
            answer = refusal(stage.client, path(server.url))
        assert answer.status_code == 400
        assert json.loads(answer.content)["err_msg"] == "The host of the callback did not accept a WebSocket."
        assert stage.app.state.services.live.active == 0

    def test_nobody_listening(self, stage: Stage) -> None:
        with receiver() as gone:
            url = gone.url().replace("http", "ws")
        assert refusal(stage.client, path(url)).status_code == 400

    def test_methods_that_carry_no_message(self, stage: Stage, hook: Receiver) -> None:
        assert refusal(stage.client, path(hook.url(), "&callback_method=GET")).status_code == 400
