"""Callbacks of a real server: it may be killed in between, and the answer still comes, once."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from deepgram import DeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from websockets.sync.client import connect

from tests.support.callback_receiver import Receiver, receiver
from tests.support.clips import AUDIO
from tests.support.encode import wav
from tests.support.running_server import PATIENCE_S, PROGRAM, ROOT, RunningServer, running_server

pytestmark = [
    pytest.mark.compat,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:websockets:DeprecationWarning"),  # of the SDK's own imports
]

CLIP = (AUDIO / "hello-world.wav").read_bytes()
SETTINGS = {"CALLBACK_ALLOW": "127.0.0.1", "CALLBACK_RETRY_S": "0.2", "JOB_LEASE_S": "1"}


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def long_recording(times: int = 200) -> bytes:
    """Ten seconds of sentences, over and over: enough work to be caught in the middle of it by a command that must start."""
    sound = (AUDIO / "sentences-10s.wav").read_bytes()
    return wav(sound[44:] * times)


def submit(server: RunningServer, hook: Receiver, audio: bytes) -> str:
    given = {"callback": hook.url(), "punctuate": "true"}
    answer = httpx.post(f"{server.url}/v1/listen", params=given, content=audio, headers=server.headers, timeout=60)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert list(body) == ["request_id"]
    return str(body["request_id"])


def jobs_command(data: Path, *arguments: str) -> Any:
    """What ``whisperapi jobs`` prints, run beside the server."""
    environment = os.environ | {"WHISPERAPI_DATA_DIR": str(data)}
    command = [*PROGRAM, "jobs", *arguments, "--json"]
    made = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=PATIENCE_S)
    return json.loads(made.stdout)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it never came to that")


def kill(server: RunningServer) -> None:
    server.process.kill()
    server.process.wait()


class Killed(Exception):
    """Leaves ``running_server``, which would otherwise ask the dead server to end in order."""


def test_an_accepted_job_survives_kill_9_and_is_answered_once(tmp_path: Path, hook: Receiver) -> None:
    with suppress(Killed), running_server(tmp_path, **SETTINGS) as server:
        request_id = submit(server, hook, long_recording(60))
        until(lambda: bool(jobs_command(tmp_path, "show", request_id)["state"] == "running"))
        kill(server)
        raise Killed
    assert hook.received.empty()
    with running_server(tmp_path, **SETTINGS):
        delivery = hook.next()
        until(lambda: bool(jobs_command(tmp_path, "show", request_id)["state"] == "done"))
    assert delivery.json["metadata"]["request_id"] == request_id
    assert delivery.json["metadata"]["duration"] == pytest.approx(596.8, abs=1)
    assert len(delivery.json["results"]["channels"][0]["alternatives"][0]["words"]) > 100
    assert hook.received.empty()
    assert list((tmp_path / "jobs").iterdir()) == []


def test_what_was_recognised_before_kill_9_is_delivered_without_another_recognition(tmp_path: Path) -> None:
    with receiver([500] * 1000) as hook:
        with suppress(Killed), running_server(tmp_path, **SETTINGS, CALLBACK_RETRIES="1000") as server:
            request_id = submit(server, hook, CLIP)
            hook.next()
            until(lambda: bool(jobs_command(tmp_path, "show", request_id)["failed_deliveries"] > 0))
            kill(server)
            raise Killed
        hook.statuses.clear()
        while not hook.received.empty():
            hook.received.get()
        with running_server(tmp_path, **SETTINGS, CALLBACK_RETRIES="1000") as server:
            assert hook.next().json["metadata"]["request_id"] == request_id
            until(lambda: bool(jobs_command(tmp_path, "show", request_id)["state"] == "done"))
            assert "recording transcribed" not in server.log.read_text(encoding="utf-8")
        assert hook.received.empty()


def test_a_stop_in_order_queues_the_job_again_at_once(tmp_path: Path, hook: Receiver) -> None:
    with running_server(tmp_path, **SETTINGS) as server:
        request_id = submit(server, hook, long_recording())
        until(lambda: bool(jobs_command(tmp_path, "show", request_id)["state"] == "running"))
    job = jobs_command(tmp_path, "show", request_id)
    assert (job["state"], job["attempts"]) == ("queued", 0)
    assert hook.received.empty()


def test_the_command_line_cancels_a_running_job(tmp_path: Path, hook: Receiver) -> None:
    with running_server(tmp_path, **SETTINGS) as server:
        request_id = submit(server, hook, long_recording())
        until(lambda: bool(jobs_command(tmp_path, "show", request_id)["state"] == "running"))
        assert jobs_command(tmp_path, "cancel", request_id, "--yes")["state"] == "cancelled"
        until(lambda: "a job was taken away" in server.log.read_text(encoding="utf-8"))
        second = submit(server, hook, CLIP)  # its turn has come, so the other one's work has ended
        assert hook.next().json["metadata"]["request_id"] == second
    assert hook.received.empty()


def test_the_python_sdk_gets_the_id_and_the_receiver_the_words(tmp_path: Path, hook: Receiver) -> None:
    with running_server(tmp_path, **SETTINGS) as server, httpx.Client(timeout=60) as connections:
        environment = DeepgramClientEnvironment(
            base=server.url, production=server.ws_url, agent=server.ws_url, agent_rest=server.url
        )
        client = DeepgramClient(api_key=server.key, environment=environment, httpx_client=connections)
        by_file: Any = client.listen.v1.media.transcribe_file(
            request=CLIP, model="nova-3", smart_format=True, callback=hook.url(), callback_method="PUT"
        )
        first = hook.next()
        by_url: Any = client.listen.v1.media.transcribe_url(url=f"{server.files_url}/hello-world.wav", callback=hook.url())
        second = hook.next()
        log = server.log.read_text(encoding="utf-8")
    assert type(by_file).__name__ == "ListenV1AcceptedResponse"
    assert (first.method, second.method) == ("PUT", "POST")
    assert first.json["metadata"]["request_id"] == by_file.request_id
    assert second.json["metadata"]["request_id"] == by_url.request_id
    assert first.json["results"]["channels"][0]["alternatives"][0]["transcript"] == "Hello world."
    assert second.json["results"]["channels"][0]["alternatives"][0]["transcript"] == "hello world"
    assert "127.0.0.1:" + str(hook.port) not in log


def test_two_servers_on_one_database_run_each_job_once(tmp_path: Path, hook: Receiver) -> None:
    with running_server(tmp_path, **SETTINGS, WORKERS="1", THREADS="1") as first:
        (tmp_path / "second").mkdir()
        with running_server(tmp_path / "second", **SETTINGS, DATA_DIR=str(tmp_path), WORKERS="1", THREADS="1") as second:
            asked = [submit(first if index % 2 else second, hook, CLIP) for index in range(10)]
            answered = [hook.next().json["metadata"]["request_id"] for _ in asked]
            until(lambda: all(job["state"] == "done" for job in jobs_command(tmp_path, "list", "--all")))
    assert sorted(answered) == sorted(asked)
    assert hook.received.empty()


def test_a_live_stream_is_told_to_the_callback(tmp_path: Path, hook: Receiver) -> None:
    with running_server(tmp_path, **SETTINGS) as server:
        query = urlencode({"encoding": "linear16", "sample_rate": 16_000, "callback": hook.url(), "punctuate": "true"})
        with connect(f"{server.ws_url}/v1/listen?{query}", additional_headers=server.headers, proxy=None) as socket:
            socket.send(CLIP[44:])
            socket.send('{"type": "CloseStream"}')
            assert list(socket) == []
            assert socket.close_code == 1000
        messages = [hook.next().json for _ in range(hook.received.qsize())]
    finals = [message["channel"]["alternatives"][0]["transcript"] for message in messages if message["type"] == "Results"]
    assert " ".join(filter(None, finals)) == "Hello world."
    assert messages[-1]["type"] == "Metadata"
