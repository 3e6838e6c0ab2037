"""Addresses as people type them into apps: with ``/v1``, without it, and with it though the client adds its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.app import STATIC_KEY, Stage, staged
from tests.support.encode import sndfile
from tests.support.live_talk import refusal

CLIP = sndfile(np.zeros((1, 16_000 * 3), np.float32), 16_000, "WAV", "PCM_16")
VERSIONS = ["", "/v1", "/v1/v1", "//v1/v1", "/v1/v1/v1"]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as opened:
        opened.client.headers["Authorization"] = f"Bearer {STATIC_KEY}"
        yield opened


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("route", ["/audio/transcriptions", "/audio/translations"])
def test_recordings(stage: Stage, version: str, route: str) -> None:
    url = f"http://testserver{version}{route}"
    answer = stage.client.post(url, files={"file": CLIP}, follow_redirects=False)
    assert (answer.status_code, answer.json()["text"]) == (200, "Hello world. How are you?")
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("route", ["/models", "/models/", "/models/whisper-1"])
def test_models(stage: Stage, version: str, route: str) -> None:
    assert stage.client.get(f"http://testserver{version}{route}").json()["object"] in ("list", "model")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("route", ["/realtime?intent=transcription", "/audio/stream?language=en"])
def test_live_speech(stage: Stage, version: str, route: str) -> None:
    with stage.client.websocket_connect(f"ws://testserver{version}{route}"):
        pass


@pytest.mark.parametrize("version", ["/v1/v1", "/v1/v1/v1"])
def test_deepgrams_clients_add_it_themselves(stage: Stage, version: str) -> None:
    assert stage.client.post(f"{version}/listen", content=CLIP).status_code == 200


def test_errors_are_in_the_words_of_the_route(stage: Stage) -> None:
    answer = stage.client.post("/audio/transcriptions", data={"model": "whisper-1"}, files={"recording": CLIP})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "file")


@pytest.mark.parametrize("path", ["/audio", "/audio/speech", "/modelsx", "/v1/v1", "/v2/v1/models", "/listen"])
def test_others_stay_unknown(stage: Stage, path: str) -> None:
    assert stage.client.get(path).status_code == 404
    assert refusal(stage.client, path).status_code == 404
