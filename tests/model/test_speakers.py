"""Who said what, with the real engine and the real detector."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from tests.support.conversations import DIALOGUE, THREE_VOICES, Turns
from tests.support.running_server import ROOT, RunningServer, running_server

pytestmark = pytest.mark.model

AUDIO = ROOT / "tests" / "audio"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server"), WORKERS="1", THREADS="2") as started:
        yield started


@pytest.mark.parametrize(("name", "turns"), [("dialogue-two-speakers.wav", DIALOGUE), ("three-voices.ogg", THREE_VOICES)])
def test_each_word_is_given_to_who_said_it(server: RunningServer, name: str, turns: Turns) -> None:
    content = (AUDIO / name).read_bytes()
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60) as client:
        answer = client.post("/v1/listen?diarize=true&smart_format=true&utterances=true", content=content)
    assert answer.status_code == 200, answer.text
    words = answer.json()["results"]["channels"][0]["alternatives"][0]["words"]
    wrong = [word for word in words if word["speaker"] != said_by(turns, (word["start"] + word["end"]) / 2)]
    assert len(words) > 15
    assert len(wrong) <= 1, wrong


def said_by(turns: Turns, at_s: float) -> int:
    return min(turns, key=lambda turn: max(turn[0] - at_s, at_s - turn[1]))[2]


def test_the_event_loop_answers_while_speakers_are_told_apart(server: RunningServer) -> None:
    async def scenario() -> None:
        async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=60) as client:
            content = (AUDIO / "three-voices.ogg").read_bytes()
            work = asyncio.ensure_future(client.post("/v1/listen?diarize=true", content=content))
            while not work.done():
                assert (await client.get("/health")).status_code == 200
            assert (await work).status_code == 200

    asyncio.run(scenario())
