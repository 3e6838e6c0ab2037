"""Two of our servers, one behind the other: recordings, live speech, and a backend that is killed in the middle of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import soundfile
from websockets.asyncio.client import ClientConnection, connect

from tests.support.live_talk import CLOSE, Json, Talk
from tests.support.running_server import ROOT, RunningServer, running_server

pytestmark = pytest.mark.model

CLIP = ROOT / "tests" / "audio" / "sentences-10s.wav"
SENTENCES = "good morning john how are you today please open the red door the window is blue"
MESSAGE_SAMPLES = 1600
MESSAGE_S = 0.05
"""Twice as fast as speech."""


@dataclass
class Backend:
    """Where the server behind stands, and how to start it again."""

    folder: Path
    port: str

    def running(self, key: str = "") -> contextlib.AbstractContextManager[RunningServer]:
        return running_server(self.folder, key=key, WORKERS="2", THREADS="1", PORT=self.port)


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Backend(tmp_path / "behind", str(probe.getsockname()[1]))


@contextlib.contextmanager
def gateway(behind: RunningServer, folder: Path) -> Iterator[RunningServer]:
    folder.mkdir()
    settings = {
        "BACKEND_URL": f"{behind.url}/v1",
        "BACKEND_AUTH": f"Bearer {behind.key}",
        "DEFAULT_MODEL": "remote",
        "STREAM_IDLE_TIMEOUT_S": "120",  # nobody speaks while the other one starts, which may take long
    }
    with running_server(folder, **settings) as started:
        yield started


def plain(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum() or character == " ")


def ask(server: RunningServer, query: str = "") -> Json:
    answer = httpx.post(f"{server.url}/v1/listen?{query}", headers=server.headers, content=CLIP.read_bytes(), timeout=60)
    assert answer.status_code == 200, answer.text
    body: Json = answer.json()
    return body


def test_a_recording_is_heard_as_by_the_server_behind(backend: Backend, tmp_path: Path) -> None:
    backend.folder.mkdir()
    with backend.running() as behind, gateway(behind, tmp_path / "front") as front:
        through, direct = ask(front, "detect_language=true"), ask(behind, "detect_language=true")
        found = [body["results"]["channels"][0]["alternatives"][0] for body in (through, direct)]
        assert found[0]["transcript"] == found[1]["transcript"]
        assert plain(found[0]["transcript"]) == SENTENCES
        assert through["results"]["channels"][0]["detected_language"] == "en"
        shifts = [
            abs(ours["start"] - theirs["start"]) for ours, theirs in zip(*(one["words"] for one in found), strict=True)
        ]
        assert max(shifts) < 0.3
        early, direct = ask(front), ask(behind)  # of known language: sent before speech detection has ended
        heard, expected = (body["results"]["channels"][0]["alternatives"][0] for body in (early, direct))
        assert heard["transcript"] == expected["transcript"]
        moved = [abs(a["start"] - b["start"]) for a, b in zip(heard["words"], expected["words"], strict=True)]
        assert max(moved) < 0.3
        assert [warning["type"] for warning in through["metadata"]["warnings"]] == ["estimated_confidence"]
        health = httpx.get(f"{front.url}/health").json()
        assert (health["status"], health["models"]) == ("ok", [{"name": "remote", "workers": 4}])


def test_a_backend_killed_in_the_middle_of_speech_costs_no_word(backend: Backend, tmp_path: Path) -> None:
    backend.folder.mkdir()
    with contextlib.ExitStack() as killed:
        killed.enter_context(pytest.raises(AssertionError, match="exit status -9"))
        behind = killed.enter_context(backend.running())
        with gateway(behind, tmp_path / "front") as front:
            talk = asyncio.run(_speak_while_it_dies(front, behind, backend))
            assert talk.code == 1000
            assert plain(talk.text) == SENTENCES
            assert [round(final["start"], 2) for final in talk.finals[1:]] == [
                round(final["start"] + final["duration"], 2) for final in talk.finals[:-1]
            ]
            _see_it_go_and_come(front, backend)


async def _speak_while_it_dies(front: RunningServer, behind: RunningServer, backend: Backend) -> Talk:
    samples, rate = soundfile.read(CLIP, dtype="int16")
    sound = samples.astype("<i2").tobytes()
    talk = Talk()
    url = f"{front.ws_url}/v1/listen?encoding=linear16&sample_rate={rate}&interim_results=true"
    async with connect(url, additional_headers=front.headers, proxy=None) as socket_:
        first_final = asyncio.Event()
        reading = asyncio.ensure_future(_read(socket_, talk, first_final))
        speaking = asyncio.ensure_future(_speak(socket_, sound))
        await asyncio.wait_for(first_final.wait(), 60)
        behind.process.kill()
        behind.process.wait()
        with contextlib.ExitStack() as again:
            starting = asyncio.to_thread(again.enter_context, backend.running(behind.key))
            await asyncio.gather(speaking, starting)  # the rest of it is said to nobody
            await socket_.send(CLOSE)
            await asyncio.wait_for(reading, 60)
            talk.code = socket_.close_code
            await asyncio.to_thread(again.close)
    return talk


async def _speak(socket_: ClientConnection, sound: bytes) -> None:
    for start in range(0, len(sound), 2 * MESSAGE_SAMPLES):
        await socket_.send(sound[start : start + 2 * MESSAGE_SAMPLES])
        await asyncio.sleep(MESSAGE_S)


async def _read(socket_: ClientConnection, talk: Talk, first_final: asyncio.Event) -> None:
    async for message in socket_:
        talk.messages.append(json.loads(message))
        if any(final["channel"]["alternatives"][0]["transcript"] for final in talk.finals):
            first_final.set()


def _see_it_go_and_come(front: RunningServer, backend: Backend) -> None:
    """The backend has been stopped again: said by every route, at once, and no longer once it is back."""
    _wait_for(front, 503)
    health = httpx.get(f"{front.url}/health").json()
    assert (health["status"], health["models"]) == ("degraded", [{"name": "remote", "workers": 0}])
    answer = httpx.post(f"{front.url}/v1/listen", headers=front.headers, content=CLIP.read_bytes())
    assert answer.status_code == 503
    assert answer.json()["err_msg"] == "The recognition backend cannot be reached."
    with backend.running():
        _wait_for(front, 200)
        assert ask(front)["results"]["channels"][0]["alternatives"][0]["transcript"]


def _wait_for(front: RunningServer, status: int) -> None:
    while httpx.get(f"{front.url}/ready").status_code != status:
        pass
