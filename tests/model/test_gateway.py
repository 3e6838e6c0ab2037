"""Two of our servers, one behind the other: recordings, live speech, and a backend that is killed in the middle of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from websockets.asyncio.client import ClientConnection, connect

from tests.support.door import Door, door
from tests.support.live_talk import CLOSE, Json, Talk
from tests.support.running_server import ROOT, RunningServer, running_server

pytestmark = pytest.mark.model

CLIP = ROOT / "tests" / "audio" / "sentences-10s.wav"
SENTENCES = "good morning john how are you today please open the red door the window is blue"
FIRST_SENTENCE_S = 2.8
"""Where it and the pause after it have ended."""

MESSAGE_S = 0.1
BUSY = 'whisperapi_workers{model="remote",state="busy"} '


def running_backend(folder: Path, key: str = "") -> contextlib.AbstractContextManager[RunningServer]:
    return running_server(folder, key=key, WORKERS="2", THREADS="1")


@contextlib.contextmanager
def gateway(url: str, key: str, folder: Path) -> Iterator[RunningServer]:
    folder.mkdir()
    settings = {
        "BACKEND_URL": f"{url}/v1",
        "BACKEND_AUTH": f"Bearer {key}",
        "DEFAULT_MODEL": "remote",
        "STREAM_IDLE_TIMEOUT_S": "120",  # nobody speaks while the first words are waited for, which may take long
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


@pytest.fixture
def backend(tmp_path: Path) -> Path:
    """The folder of the server behind."""
    folder = tmp_path / "behind"
    folder.mkdir()
    return folder


def test_a_recording_is_heard_as_by_the_server_behind(backend: Path, tmp_path: Path) -> None:
    with running_backend(backend) as behind, gateway(behind.url, behind.key, tmp_path / "front") as front:
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


def test_a_backend_killed_in_the_middle_of_speech_costs_no_word(backend: Path, tmp_path: Path) -> None:
    """What takes its place is started before: how long a start takes is no matter of the gateway, which waits 20 s."""
    with contextlib.ExitStack() as killed:
        killed.enter_context(pytest.raises(AssertionError, match="exit status -9"))
        behind = killed.enter_context(running_backend(backend))
        with door() as address, running_backend(backend, behind.key) as other:
            address.open_to(behind.url)
            with gateway(address.url, behind.key, tmp_path / "front") as front:
                talk = asyncio.run(_speak_while_it_dies(front, behind, other, address))
                assert talk.code == 1000
                assert plain(talk.text) == SENTENCES
                assert [round(final["start"], 2) for final in talk.finals[1:]] == [
                    round(final["start"] + final["duration"], 2) for final in talk.finals[:-1]
                ]
                _see_it_go_and_come(front, other, address)


async def _speak_while_it_dies(front: RunningServer, behind: RunningServer, other: RunningServer, address: Door) -> Talk:
    samples, rate = soundfile.read(CLIP, dtype="int16")
    talk = Talk()
    url = f"{front.ws_url}/v1/listen?encoding=linear16&sample_rate={rate}&interim_results=true"
    async with connect(url, additional_headers=front.headers, proxy=None) as socket_:
        first_final = asyncio.Event()
        reading = asyncio.ensure_future(_read(socket_, talk, first_final))
        heard, unheard = np.split(samples.astype("<i2"), [round(FIRST_SENTENCE_S * rate)])
        await _speak(socket_, heard, rate)
        await asyncio.wait_for(first_final.wait(), 60)
        behind.process.kill()
        behind.process.wait()
        address.shut()
        await _speak(socket_, unheard, rate)  # said to nobody
        await asyncio.to_thread(_wait_for, front, 503)
        await asyncio.to_thread(_wait_for_decode, front)
        address.open_to(other.url)
        assert len(plain(talk.text).split()) < len(SENTENCES.split())
        await socket_.send(CLOSE)
        await asyncio.wait_for(reading, 60)
        talk.code = socket_.close_code
    return talk


async def _speak(socket_: ClientConnection, samples: npt.NDArray[np.int16], rate: int) -> None:
    step = round(MESSAGE_S * rate)
    for start in range(0, len(samples), step):
        await socket_.send(samples[start : start + step].tobytes())


async def _read(socket_: ClientConnection, talk: Talk, first_final: asyncio.Event) -> None:
    async for message in socket_:
        talk.messages.append(json.loads(message))
        if any(final["channel"]["alternatives"][0]["transcript"] for final in talk.finals):
            first_final.set()


def _see_it_go_and_come(front: RunningServer, other: RunningServer, address: Door) -> None:
    """The backend is away again: said by every route, at once, and no longer once it is back."""
    address.shut()
    _wait_for(front, 503)
    health = httpx.get(f"{front.url}/health").json()
    assert (health["status"], health["models"]) == ("degraded", [{"name": "remote", "workers": 0}])
    answer = httpx.post(f"{front.url}/v1/listen", headers=front.headers, content=CLIP.read_bytes())
    assert answer.status_code == 503
    assert answer.json()["err_msg"] == "The recognition backend cannot be reached."
    address.open_to(other.url)
    _wait_for(front, 200)
    assert ask(front)["results"]["channels"][0]["alternatives"][0]["transcript"]


def _wait_for(front: RunningServer, status: int) -> None:
    while httpx.get(f"{front.url}/ready").status_code != status:
        pass


def _wait_for_decode(front: RunningServer) -> None:
    """Until one is under way; it is tried again and again."""
    while f"{BUSY}0.0" in (page := httpx.get(f"{front.url}/metrics").text):
        assert BUSY in page
