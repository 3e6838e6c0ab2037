"""A dictation keyboard's connection to a running server: samples or Ogg with Opus in, one text out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
import soxr
from websockets.asyncio.client import connect

from tests.support.live_media import SHORT_PAGES, cut, muxed
from tests.support.running_server import CLIPS, RunningServer, running_server

pytestmark = pytest.mark.model

SENTENCES = "Good morning John. How are you today? Please open the red door. The window is blue."
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("dictation")) as started:
        yield started


def dictate(server: RunningServer, messages: list[bytes], query: str) -> str:
    async def run() -> str:
        headers = {"Authorization": f"Bearer {server.key}"}
        async with connect(f"{server.ws_url}/v1/audio/stream?{query}", additional_headers=headers, proxy=None) as socket:
            for message in messages:
                await socket.send(message)
            await socket.send('{"action":"done"}')
            answers = [json.loads(message) async for message in socket]
            assert (socket.close_code, socket.close_reason) == (1000, "")
            [answer] = answers
            assert set(answer) == {"text"}
            return str(answer["text"])

    return asyncio.run(asyncio.wait_for(run(), PATIENCE_S))


def pcm(name: str) -> bytes:
    samples, rate = soundfile.read(CLIPS[0] / name, dtype="int16")
    assert rate == 16_000
    return bytes(samples.astype("<i2").tobytes())


@pytest.mark.parametrize("size", [640, 3201, 1 << 20])
def test_samples_in_pieces_of_any_size(server: RunningServer, size: int) -> None:
    assert dictate(server, cut(pcm("sentences-10s.wav"), size), "language=en") == SENTENCES


def test_ogg_with_opus_as_it_is_recorded(server: RunningServer) -> None:
    samples, rate = soundfile.read(CLIPS[0] / "sentences-10s.wav", dtype="float32")
    at_48k = soxr.resample(samples, rate, 48_000)
    ogg = muxed(np.ascontiguousarray(at_48k[np.newaxis]), 48_000, "ogg", "libopus", SHORT_PAGES)
    assert dictate(server, cut(ogg, 400), "language=en&codec=opus") == SENTENCES


def test_the_language_is_detected_where_none_is_named(server: RunningServer) -> None:
    assert dictate(server, cut(pcm("german.wav"), 3200), "") == dictate(server, cut(pcm("german.wav"), 3200), "language=de")


def test_silence_is_an_empty_text(server: RunningServer) -> None:
    assert dictate(server, cut(pcm("silence-5s.wav"), 3200), "language=en") == ""
