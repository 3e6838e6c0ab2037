"""Speech that changes its language, and a part of a recording, through the whole server on the self-test model."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile
from websockets.sync.client import connect

from tests.support.clips import AUDIO
from tests.support.running_server import RunningServer, running_server

pytestmark = pytest.mark.model

FOUR = ("spanish.wav", "hello-world.wav", "french.wav", "german.wav")
SPOKEN = {
    "es": "buenos días abre la puerta roja",
    "en": "hello world",
    "fr": "bonjour le monde ferme la fenêtre bleue",
    "de": "guten morgen bitte öffne das fenster",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server"), WORKERS="2", THREADS="1") as started:
        yield started


@pytest.fixture(scope="module")
def four_languages() -> bytes:
    """Linear16 at 16 kHz. The clips bring 0.3 s of silence at each end."""
    clips = [soundfile.read(AUDIO / name, dtype="int16")[0] for name in FOUR]
    return np.concatenate(clips).astype("<i2").tobytes()


def recognised(server: RunningServer, audio: bytes, **query: str) -> dict[str, Any]:
    answer = httpx.post(f"{server.url}/v1/listen", params=query, content=audio, headers=server.headers, timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def wav(linear16: bytes) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(linear16, "<i2"), 16_000, format="WAV")
    return file.getvalue()


def by_language(words: list[dict[str, Any]]) -> dict[str, str]:
    spoken: dict[str, list[str]] = {}
    for word in words:
        spoken.setdefault(word["language"], []).append(word["word"])
    return {language: " ".join(said) for language, said in spoken.items()}


def test_each_word_of_a_recording_names_its_language(server: RunningServer, four_languages: bytes) -> None:
    answer = recognised(server, wav(four_languages), language="multi")
    (alternative,) = answer["results"]["channels"][0]["alternatives"]
    assert by_language(alternative["words"]) == SPOKEN
    assert set(alternative["languages"]) == set(SPOKEN)
    counts = [len(SPOKEN[language].split()) for language in alternative["languages"]]
    assert counts == sorted(counts, reverse=True)


def test_hints_narrow_the_choice_and_are_repeated(server: RunningServer, four_languages: bytes) -> None:
    answer = recognised(server, wav(four_languages), language="multi", language_hint="es-419")
    (alternative,) = answer["results"]["channels"][0]["alternatives"]
    assert alternative["languages"] == alternative["languages_hinted"] == ["es"]


def test_each_word_of_a_live_stream_names_its_language(server: RunningServer, four_languages: bytes) -> None:
    address = server.url.replace("http", "ws") + "/v1/listen"
    query = "?language=multi&language_hint=en&language_hint=fr&language_hint=es&language_hint=de"
    with connect(
        f"{address}{query}&encoding=linear16&sample_rate=16000&endpointing=200", additional_headers=server.headers
    ) as socket:
        for start in range(0, len(four_languages), 6400):
            socket.send(four_languages[start : start + 6400])
        socket.send('{"type":"CloseStream"}')
        finals = [message for message in map(json.loads, socket) if message["type"] == "Results" and message["is_final"]]
    alternatives = [final["channel"]["alternatives"][0] for final in finals]
    assert by_language([word for alternative in alternatives for word in alternative["words"]]) == SPOKEN
    assert all(alternative["languages_hinted"] == ["en", "fr", "es", "de"] for alternative in alternatives)


def test_channels_detect_apart(server: RunningServer) -> None:
    one, other = (soundfile.read(AUDIO / name, dtype="float32")[0] for name in ("french.wav", "german.wav"))
    length = max(len(one), len(other))
    stereo = np.stack([np.pad(one, (0, length - len(one))), np.pad(other, (0, length - len(other)))], axis=1)
    file = io.BytesIO()
    soundfile.write(file, stereo, 16_000, format="WAV")
    answer = recognised(server, file.getvalue(), detect_language="true", multichannel="true")
    assert [channel["detected_language"] for channel in answer["results"]["channels"]] == ["fr", "de"]
    restricted = httpx.post(
        f"{server.url}/v1/listen",
        params=[("detect_language", "es"), ("detect_language", "de"), ("multichannel", "true")],
        content=file.getvalue(),
        headers=server.headers,
        timeout=60,
    ).json()
    assert {channel["detected_language"] for channel in restricted["results"]["channels"]} <= {"es", "de"}


def test_a_part_has_the_words_and_times_of_the_whole(server: RunningServer) -> None:
    file = (AUDIO / "sentences-10s.wav").read_bytes()
    whole = recognised(server, file)["results"]["channels"][0]["alternatives"][0]["words"]
    start_s = next(word["end"] for word in whole if word["word"] == "john") + 0.1
    end_s = next(word["end"] for word in whole if word["word"] == "door") + 0.2
    answer = recognised(server, file, start=f"{start_s:.3f}", duration=f"{end_s - start_s:.3f}")
    part = answer["results"]["channels"][0]["alternatives"][0]["words"]
    expected = [word for word in whole if start_s < word["start"] < end_s]
    assert [word["word"] for word in part] == [word["word"] for word in expected]
    assert [word["start"] for word in part] == pytest.approx([word["start"] for word in expected], abs=0.3)
    assert answer["metadata"]["duration"] == pytest.approx(end_s, abs=0.002)


def test_a_part_behind_the_end_has_no_words(server: RunningServer) -> None:
    answer = recognised(server, (AUDIO / "hello-world.wav").read_bytes(), start="60")
    assert answer["results"]["channels"] == [{"alternatives": [{"transcript": "", "confidence": 0.0, "words": []}]}]
    assert answer["metadata"]["duration"] == 0.0


@pytest.mark.parametrize("query", [{"start": "-1"}, {"duration": "0"}, {"beam_size": "9"}, {"temperature": "2"}])
def test_values_out_of_range_are_refused(server: RunningServer, query: dict[str, str]) -> None:
    answer = httpx.post(f"{server.url}/v1/listen", params=query, content=b"x", headers=server.headers)
    assert answer.status_code == 400
    assert answer.json()["err_code"] == "INVALID_QUERY_PARAMETER"
    assert next(iter(query)) in answer.json()["err_msg"]


def test_a_request_chooses_its_decoder(server: RunningServer) -> None:
    file = (AUDIO / "hello-world.wav").read_bytes()
    answer = recognised(server, file, beam_size="5", temperature="0.2", best_of="3")
    assert answer["results"]["channels"][0]["alternatives"][0]["transcript"] == "hello world"
    assert "warnings" not in answer["metadata"] or all(
        warning["parameter"] == "model" for warning in answer["metadata"]["warnings"]
    )
