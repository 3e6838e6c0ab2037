"""Live streams that end badly: silent clients, clients that vanish, errors of our own (contract 3.6, 3.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.types import Message

from app.engines.scripted import ScriptedEngine, ScriptedPool, say
from tests.support.app import STATIC_KEY, Stage, staged
from tests.support.live_talk import CLOSE, FINALIZE, RAW, converse, send, tone

IDLE = {"stream_idle_timeout_s": 0.3}


class TestSilentClients:
    def test_are_closed_with_net_0001_and_without_metadata(self, tmp_path: Path) -> None:
        with staged(tmp_path, **IDLE) as stage:
            talk = converse(stage.client, RAW, [tone(0.1)])
            assert (talk.code, talk.reason) == (1011, "NET-0001")
            assert talk.messages == []

    def test_the_limit_counts_from_the_handshake(self, tmp_path: Path) -> None:
        with staged(tmp_path, **IDLE) as stage:
            assert converse(stage.client, RAW, []).reason == "NET-0001"

    def test_messages_without_meaning_do_not_hold_the_stream(self, tmp_path: Path) -> None:
        with staged(tmp_path, **IDLE) as stage:
            assert converse(stage.client, RAW, ["?"]).reason == "NET-0001"


class Socket:
    """One WebSocket spoken to the application message by message; ``send`` may fail as a server's does."""

    def __init__(self, *sent: Message, gone: bool = False) -> None:
        self.answers: list[Message] = []
        self._sent = [{"type": "websocket.connect"}, *sent]
        self._gone = gone

    async def receive(self) -> Message:
        if self._sent:
            return self._sent.pop(0)
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(self, message: Message) -> None:
        self.answers.append(message)
        if self._gone:
            raise OSError("nobody is there")


def speak(stage: Stage, socket: Socket, query: str = RAW) -> None:
    """Run the application on ``socket`` to its end."""
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": "/v1/listen",
        "raw_path": b"/v1/listen",
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"authorization", f"Token {STATIC_KEY}".encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 7860),
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }
    portal = stage.client.portal
    assert portal is not None
    portal.call(asyncio.wait_for, _application(stage, scope, socket), 30)


async def _application(stage: Stage, scope: dict[str, object], socket: Socket) -> None:
    await stage.app(scope, socket.receive, socket.send)


def binary(data: bytes) -> Message:
    return {"type": "websocket.receive", "bytes": data, "text": None}


def text(message: str) -> Message:
    return {"type": "websocket.receive", "bytes": None, "text": message}


GOODBYE: Message = {"type": "websocket.disconnect", "code": 1001, "reason": None}


class TestVanishedClients:
    @pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 1009])
    def test_are_forgotten_without_a_word(self, tmp_path: Path, code: int) -> None:
        never = asyncio.Event
        pool = ScriptedPool(ScriptedEngine(say("Hello.")), delay=lambda: never().wait())
        with staged(tmp_path, pool) as stage:
            socket = Socket(binary(tone(1.0)), text(FINALIZE), GOODBYE | {"code": code})
            speak(stage, socket)
            assert [answer["type"] for answer in socket.answers] == ["websocket.accept"]
            assert stage.app.state.services.live.active == 0
            assert pool.started == pool.ended
            assert pool.calls == []

    def test_even_after_they_asked_for_the_end(self, tmp_path: Path) -> None:
        never = asyncio.Event
        pool = ScriptedPool(ScriptedEngine(say("Hello.")), delay=lambda: never().wait())
        with staged(tmp_path, pool) as stage:
            speak(stage, Socket(binary(tone(1.0)), text(CLOSE), GOODBYE))
            assert pool.started == pool.ended
            assert pool.calls == []

    @pytest.mark.parametrize("failure", [OSError("gone"), RuntimeError("Unexpected ASGI message")])
    def test_a_send_that_fails_ends_the_stream_quietly(
        self, tmp_path: Path, failure: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(Socket):
            async def send(self, message: Message) -> None:
                self.answers.append(message)
                if message["type"] == "websocket.send":
                    raise failure

        with staged(tmp_path) as stage:
            socket = Broken(binary(tone(1.0)), text(FINALIZE))
            speak(stage, socket)
            assert [answer["type"] for answer in socket.answers] == ["websocket.accept", "websocket.send"]
            assert stage.app.state.services.live.active == 0
        assert "unexpected" not in caplog.text

    @pytest.mark.parametrize("query", [RAW, "encoding=linear16"])
    def test_in_the_middle_of_the_handshake(self, tmp_path: Path, query: str, capsys: pytest.CaptureFixture[str]) -> None:
        with staged(tmp_path) as stage:
            speak(stage, Socket(gone=True), query)
            assert stage.app.state.services.live.active == 0
        assert "unexpected error" not in capsys.readouterr().out

    def test_the_threads_of_their_containers_end(self, tmp_path: Path, threads: Callable[[], list[str]]) -> None:
        clip = b"OggS" + bytes(2000)
        with staged(tmp_path) as stage:
            speak(stage, Socket(binary(clip), GOODBYE), "")
            assert not [name for name in threads() if name.startswith("live-demuxer")]


@pytest.fixture
def threads() -> Callable[[], list[str]]:
    import threading

    return lambda: [thread.name for thread in threading.enumerate()]


class TestShutdown:
    def test_waits_for_streams_no_longer_than_it_may(self, tmp_path: Path) -> None:
        never = asyncio.Event
        pool = ScriptedPool(ScriptedEngine(say("Hello.")), delay=lambda: never().wait())
        with staged(tmp_path, pool) as stage, stage.client.websocket_connect(f"/v1/listen?{RAW}") as socket:
            send(socket, tone(1.0), FINALIZE, '{"type":"Configure"}')
            assert socket.receive_json()["type"] == "ConfigureSuccess"
            portal = stage.client.portal
            assert portal is not None
            portal.call(stage.app.state.services.live.drain, 0.05)
            assert stage.app.state.services.live.active == 1

    def test_of_an_idle_server_takes_no_time(self, tmp_path: Path) -> None:
        with staged(tmp_path) as stage:
            converse(stage.client, RAW, [CLOSE])
            portal = stage.client.portal
            assert portal is not None
            portal.call(stage.app.state.services.live.drain, 0.0)


class TestOurOwnErrors:
    def test_close_with_1011_and_say_nothing_of_what_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise ZeroDivisionError("a secret")

        monkeypatch.setattr("app.services.hearing.mix_to_mono", fail)
        with staged(tmp_path) as stage:
            socket = Socket(binary(tone(1.0)))
            with pytest.raises(ZeroDivisionError):
                speak(stage, socket)
            accepted, closed = socket.answers
            assert accepted["type"] == "websocket.accept"
            assert closed == {"type": "websocket.close", "code": 1011, "reason": "internal error"}
            assert stage.app.state.services.live.active == 0
