"""``WS /v1/listen`` on the wire, as a client sees it that no SDK softens: raw WebSockets against a running server."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.running_server import CLIPS, RunningServer, running_server

pytestmark = pytest.mark.compat

RAW = "encoding=linear16&sample_rate=16000"
CLOSE = '{"type":"CloseStream"}'
MIB = 1024 * 1024


def pcm(name: str) -> bytes:
    samples, _ = soundfile.read(CLIPS[0] / name, dtype="int16")
    return bytes(samples.astype("<i2").tobytes())


def opened(server: RunningServer, path: str = f"/v1/listen?{RAW}", **given: Any) -> ClientConnection:
    options: dict[str, Any] = {"additional_headers": server.headers, "proxy": None, "open_timeout": 30, "max_size": None}
    return connect(server.ws_url + path, **(options | given))


def read_to_the_end(connection: ClientConnection) -> tuple[list[dict[str, Any]], int, str]:
    """All messages, and the code and reason of the close."""
    messages = []
    with suppress(ConnectionClosed):
        while True:
            messages.append(json.loads(connection.recv(timeout=60)))
    said = connection.protocol.close_rcvd
    assert said is not None
    return messages, said.code, said.reason


def finals(messages: list[dict[str, Any]]) -> list[str]:
    """The texts of the finals that have one."""
    results = [message for message in messages if message["type"] == "Results" and message["is_final"]]
    return [text for result in results if (text := result["channel"]["alternatives"][0]["transcript"])]


def active_streams(server: RunningServer) -> float:
    shown = httpx.get(f"{server.url}/metrics", trust_env=False).text
    line = next(line for line in shown.splitlines() if line.startswith('engine_active_requests{kind="stream"}'))
    return float(line.split()[-1])


class TestHandshake:
    @pytest.mark.parametrize(
        ("path", "headers", "status"),
        [
            (f"/v1/listen?{RAW}", {"Authorization": "Token " + "0" * 40}, 401),
            (f"/v1/listen?{RAW}", {}, 401),
            ("/v1/listen?encoding=linear16", None, 400),
            (f"/v1/listen?{RAW}&model=no-such-model", None, 400),
            (f"/v1/listen?{RAW}&interim_results=maybe", None, 400),
            (f"/v1/listen?{RAW}&keyterm={'x' * 40_000}", None, 414),
            (f"/v2/listen?{RAW}", None, 404),
            ("/v1/speak", None, 404),
        ],
    )
    def test_a_refusal_is_an_http_answer_with_a_body(
        self, server: RunningServer, path: str, headers: dict[str, str] | None, status: int
    ) -> None:
        with pytest.raises(InvalidStatus) as refused:
            opened(server, path, additional_headers=server.headers if headers is None else headers)
        answer = refused.value.response
        assert answer.status_code == status
        body = json.loads(answer.body or b"")
        assert answer.headers["dg-request-id"] == body["request_id"]
        assert answer.headers["dg-error"] == body["err_msg"]
        assert answer.headers["content-type"] == "application/json"

    def test_a_refusal_is_no_error_of_the_application(self, server: RunningServer) -> None:
        with suppress(InvalidStatus):
            opened(server, additional_headers={})
        with opened(server) as connection:  # by its answer the refused one is over
            connection.send(CLOSE)
            read_to_the_end(connection)
        assert "without completing handshake" not in server.log.read_text(encoding="utf-8")

    @pytest.mark.parametrize("word", ["token", "Bearer"])
    def test_of_several_subprotocols_one_is_answered_and_never_the_secret(self, server: RunningServer, word: str) -> None:
        offered = [word, server.key, "x-deepgram-session-id", "0e4c9ad1-54e0-4c3b-8e0b-9d3c3a1b2f00"]
        with opened(server, additional_headers={}, subprotocols=offered) as connection:
            assert connection.response is not None
            assert connection.response.headers.get_all("Sec-WebSocket-Protocol") == [word]
            connection.send(CLOSE)
            assert read_to_the_end(connection)[1] == 1000

    def test_without_an_offer_there_is_no_answer_to_it(self, server: RunningServer) -> None:
        with opened(server) as connection:
            assert connection.response is not None
            assert "Sec-WebSocket-Protocol" not in connection.response.headers
            assert "dg-request-id" in connection.response.headers
            assert "dg-project-id" in connection.response.headers

    @pytest.mark.parametrize("path", ["/v1/listen/", "//v1/listen"])
    def test_slashes_too_many_do_not_matter(self, server: RunningServer, path: str) -> None:
        with opened(server, f"{path}?{RAW}") as connection:
            connection.send(CLOSE)
            assert read_to_the_end(connection)[1] == 1000

    def test_a_long_query_fits(self, server: RunningServer) -> None:
        terms = urllib.parse.urlencode([("unknown", f"word number {index}") for index in range(800)])
        assert len(terms) > 16_384
        with opened(server, f"/v1/listen?{RAW}&{terms}") as connection:
            connection.send(CLOSE)
            assert read_to_the_end(connection)[1] == 1000


class TestMessages:
    def test_a_message_may_come_in_fragments(self, server: RunningServer) -> None:
        audio = pcm("hello-world.wav")
        with opened(server) as connection:
            connection.send(audio[i : i + 1001] for i in range(0, len(audio), 1001))
            connection.send(["{", '"type":', '"CloseStream"}'])
            messages, code, _ = read_to_the_end(connection)
        assert finals(messages) == ["hello world"]
        assert messages[-1]["duration"] == pytest.approx(len(audio) / 32_000, abs=0.001)
        assert code == 1000

    def test_pings_are_answered(self, server: RunningServer) -> None:
        with opened(server) as connection:
            assert connection.ping().wait(10)

    def test_sixteen_mebibytes_in_one_message_are_taken(self, server: RunningServer) -> None:
        with opened(server) as connection:
            connection.send(bytes(16 * MIB))
            connection.send(CLOSE)
            messages, code, _ = read_to_the_end(connection)
        assert messages[-1]["duration"] == 16 * MIB / 32_000
        assert finals(messages) == []
        assert code == 1000

    def test_more_than_that_is_refused_and_others_do_not_notice(self, server: RunningServer) -> None:
        with opened(server) as other, opened(server) as connection:
            with pytest.raises(ConnectionClosedError) as closed:  # noqa: PT012 - the refusal may come at either
                connection.send(bytes(20 * MIB))
                connection.recv(timeout=30)
            assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
            other.send(pcm("hello-world.wav"))
            other.send(CLOSE)
            assert finals(read_to_the_end(other)[0]) == ["hello world"]

    def test_bytes_that_are_no_audio(self, server: RunningServer) -> None:
        with opened(server, "/v1/listen") as connection:
            connection.send(bytes(range(256)) * 256)
            assert read_to_the_end(connection) == ([], 1008, "DATA-0000")


class TestCrowds:
    def test_a_hundred_clients_at_once_get_their_words_or_429(self, server: RunningServer) -> None:
        audio = pcm("hello-world.wav")

        async def one() -> list[str] | int:
            try:
                connection = await connect_async(
                    f"{server.ws_url}/v1/listen?{RAW}", additional_headers=server.headers, proxy=None, open_timeout=60
                )
            except InvalidStatus as refused:
                return refused.response.status_code
            async with connection:
                await connection.send(audio)
                await connection.send(CLOSE)
                messages = [json.loads(message) async for message in connection]
                assert connection.close_code == 1000
                return finals(messages)

        async def all_of_them() -> list[list[str] | int]:
            return await asyncio.gather(*(one() for _ in range(100)))

        outcomes = asyncio.run(all_of_them())
        assert all(outcome in (["hello world"], 429) for outcome in outcomes)
        assert outcomes.count(["hello world"]) >= 90

    def test_a_client_that_vanishes_is_forgotten(self, server: RunningServer) -> None:
        before = active_streams(server)
        with opened(server) as connection:
            connection.send(pcm("sentences-10s.wav"))
            assert active_streams(server) == before + 1
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset, no goodbye
            connection.socket.close()
        for _ in range(200):
            if active_streams(server) == before:
                return
            time.sleep(0.05)
        raise AssertionError("the stream is still there")


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    """One that a test may stop."""
    with running_server(tmp_path, MAX_STREAMS="1", STREAM_IDLE_TIMEOUT_S="1") as started:
        yield started


class TestOperation:
    def test_limits_and_idle_clients(self, own_server: RunningServer) -> None:
        with opened(own_server) as connection:
            with pytest.raises(InvalidStatus) as refused:
                opened(own_server)
            assert refused.value.response.status_code == 429
            assert int(refused.value.response.headers["Retry-After"]) >= 1
            assert read_to_the_end(connection) == ([], 1011, "NET-0001")
        with opened(own_server) as connection:  # the permit is back
            connection.send(CLOSE)
            assert read_to_the_end(connection)[1] == 1000

    def test_a_server_that_stops_finishes_what_it_heard(self, own_server: RunningServer) -> None:
        with opened(own_server) as connection:
            connection.send(pcm("hello-world.wav"))
            connection.send('{"type":"Configure"}')
            assert json.loads(connection.recv(timeout=30))["type"] == "ConfigureSuccess"  # the audio before it was heard
            own_server.process.send_signal(signal.SIGTERM)
            messages, code, _ = read_to_the_end(connection)
        assert finals(messages) == ["hello world"]
        assert messages[-1]["type"] == "Metadata"
        assert code == 1001
        assert own_server.process.wait(30) == 0
