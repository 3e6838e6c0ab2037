"""The plain endpoints and those of whisper-asr-webservice on real clips."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator

import httpx
import pytest

from tests.support.running_server import ROOT, RunningServer, running_server

pytestmark = pytest.mark.model

AUDIO = ROOT / "tests" / "audio"
SENTENCES = ["Good morning John.", "How are you today?", "Please open the red door.", "The window is blue."]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("plain"), WORKERS="1", THREADS="2") as started:
        yield started


@pytest.fixture
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers=server.headers, timeout=60, trust_env=False) as opened:
        yield opened


def ask(client: httpx.Client, path: str, field: str, name: str, content: bytes | None = None, **data: str) -> httpx.Response:
    content = (AUDIO / name).read_bytes() if content is None else content
    answer = client.post(path, files={field: (name, content)}, data=data)
    assert answer.status_code == 200, answer.text
    return answer


def test_segments_words_and_their_times(client: httpx.Client) -> None:
    body = ask(client, "/transcribe", "file", "sentences-10s.wav", word_timestamps="true").json()
    assert (body["text"], body["language"]) == (" ".join(SENTENCES), "en")
    assert [segment["text"] for segment in body["segments"]] == SENTENCES
    words = [word for segment in body["segments"] for word in segment["words"]]
    assert [word["word"] for word in words] == body["text"].split()
    assert all(0 <= word["start"] < word["end"] <= body["duration"] for word in words)
    assert len({word["probability"] for word in words}) > len(words) / 2


def test_speakers_are_told_apart(client: httpx.Client) -> None:
    body = ask(client, "/transcribe", "file", "dialogue-two-speakers.wav", diarize="true").json()
    assert body["speakers"] == ["SPEAKER_00", "SPEAKER_01"]
    turns = [segment["speaker"] for segment in body["segments"]]
    assert set(turns) == set(body["speakers"])


def test_a_translation_is_english(client: httpx.Client) -> None:
    body = ask(client, "/transcribe", "file", "spanish.wav", task="translate").json()
    assert body["language"] == "en"
    assert "the" in body["text"].lower().split()


@pytest.mark.parametrize(
    ("name", "code", "language"),
    [
        ("sentences-10s.wav", "en", "english"),
        ("spanish.wav", "es", "spanish"),
        ("french.wav", "fr", "french"),
        ("german.wav", "de", "german"),
        ("silence-5s.wav", "und", "unknown"),
    ],
)
def test_languages_are_detected(client: httpx.Client, name: str, code: str, language: str) -> None:
    plain = ask(client, "/detect-language", "file", name).json()
    assert (plain["detected_language"], plain["language_code"]) == (code, code)
    with wave.open(str(AUDIO / name)) as file:
        samples = file.readframes(file.getnframes())
    bare = ask(client, "/detect-language?encode=false", "audio_file", name, samples).json()
    assert (bare["detected_language"], bare["language_code"]) == (language, code)
    assert bare["confidence"] == plain["confidence"]
    assert (plain["confidence"] > 0.5) is (code != "und")


def test_subtitles_as_a_subtitle_manager_asks_for_them(client: httpx.Client) -> None:
    with wave.open(str(AUDIO / "sentences-10s.wav")) as file:
        samples = file.readframes(file.getnframes())
    query = "task=transcribe&language=en&output=srt&encode=false&video_file=None"
    text = ask(client, f"/asr?{query}", "audio_file", "audio_file", samples).text
    assert "".join(text.splitlines(keepends=True)[2::4]).splitlines() == SENTENCES


def test_the_json_has_the_figures_of_the_decoder(client: httpx.Client) -> None:
    body = json.loads(ask(client, "/asr?output=json&word_timestamps=true", "audio_file", "sentences-10s.wav").text)
    assert [segment["text"].strip() for segment in body["segments"]] == SENTENCES
    for segment in body["segments"]:
        assert segment["tokens"]
        assert segment["avg_logprob"] < 0
        assert 0 <= segment["no_speech_prob"] < 0.5
        assert "".join(word["word"] for word in segment["words"]) == segment["text"]
