"""What other servers answer, good and odd -> words with times and confidences."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from app.domain.errors import BackendFailed
from app.domain.languages import WHISPER_V3_LANGUAGES
from app.engines.remote_answer import Answer, read_answer
from tests.support.backend_server import transcript

SILENCE = np.zeros(16_000, np.float32)


def tones(*spans: tuple[float, float], duration_s: float = 3.0) -> Any:
    """Loud in the spans, silent elsewhere."""
    pcm = np.zeros(round(duration_s * 16_000), np.float32)
    for start_s, end_s in spans:
        pcm[round(start_s * 16_000) : round(end_s * 16_000)] = 0.5
    return pcm


def read(body: Any, pcm: Any = SILENCE, language: str | None = "en") -> Answer:
    return read_answer(json.dumps(body).encode(), pcm, language)


def placed(answer: Answer) -> list[tuple[str, float, float]]:
    return [
        (word.text, round(word.start_s, 2), round(word.end_s, 2)) for segment in answer.segments for word in segment.words
    ]


def test_times_of_bare_words_go_to_the_words_of_the_text() -> None:
    words = [{"word": "hello", "start": 0.25, "end": 0.5}, {"word": "world", "start": 0.55, "end": 0.75}]
    answer = read(transcript("Hello, world!", words=words))
    assert placed(answer) == [("Hello,", 0.25, 0.5), ("world!", 0.55, 0.75)]
    assert answer.times_words
    assert answer.segments[0].text == "Hello, world!"


def test_words_inside_of_segments_and_their_probabilities_are_read() -> None:
    words = [{"word": " Hello", "start": 0.2, "end": 0.5, "probability": 0.9}]
    words.append({"word": " world.", "start": 0.5, "end": 0.8, "probability": 0.7})
    segment = {"start": 0.2, "end": 0.8, "text": " Hello world.", "words": words}
    answer = read({"text": "Hello world.", "segments": [segment]})
    assert [word.confidence for word in answer.segments[0].words] == [0.9, 0.7]
    assert answer.rates_words


def test_a_word_that_the_server_missed_stands_between_its_neighbours() -> None:
    words = [{"word": "one", "start": 0.2, "end": 0.4}, {"word": "three", "start": 0.6, "end": 0.8}]
    answer = read(transcript("One two three.", words=words))
    assert [text for text, _, _ in placed(answer)] == ["One", "two", "three."]
    assert placed(answer)[1][1:] == (0.4, 0.6)


def test_without_times_words_are_spread_over_the_sound_that_is_loud() -> None:
    answer = read({"text": "aaaa bbbb"}, tones((0.5, 1.0), (2.0, 2.5)))
    assert placed(answer) == [("aaaa", 0.5, 1.0), ("bbbb", 2.0, 2.5)]
    assert not answer.times_words


def test_confidence_is_that_of_the_segment_where_words_have_none() -> None:
    answer = read(transcript())
    assert [word.confidence for word in answer.segments[0].words] == [pytest.approx(math.exp(-0.2))] * 2
    assert answer.segments[0].avg_logprob == -0.2
    assert not answer.rates_words


def test_bare_text_has_an_unknown_confidence() -> None:
    assert [word.confidence for word in read({"text": "Hello."}).segments[0].words] == [0.5]


def test_sound_descriptions_are_no_words() -> None:
    assert read({"text": "[Music]"}).segments == ()
    assert read({"text": ""}).segments == ()


def test_languages_are_known_by_name_and_by_tag() -> None:
    told = {name: read(transcript(language=name)).language for name in ("English", "german", "fr", "pt-BR", "klingon", "")}
    assert told == {"English": "en", "german": "de", "fr": "fr", "pt-BR": "pt", "klingon": None, "": None}
    assert set(told.values()) - {None} <= set(WHISPER_V3_LANGUAGES)


def test_text_without_spaces_is_divided_by_characters() -> None:
    answer = read({"text": "你好。", "language": "zh"}, language=None)
    assert [text for text, _, _ in placed(answer)] == ["你", "好。"]


@pytest.mark.parametrize(
    "odd",
    [
        {"segments": "none"},
        {"segments": [1, None, {"text": 5}]},
        {"segments": [{"text": "Hello world.", "start": "a", "end": None}]},
        {"segments": [{"text": "Hello world.", "start": float("nan"), "end": 1e300}]},
        {"segments": [{"text": "Hello world.", "start": 10**400, "end": 1}]},
        {"segments": [{"text": "Hello world.", "start": 900, "end": -3, "avg_logprob": True, "tokens": "x"}]},
        {"words": [{"word": 5}, "x", {"word": "Hello", "start": 3, "end": 1}, {"word": "", "start": 0, "end": 1}]},
        {"words": [{"word": "Hello", "start": 99, "end": 100}, {"word": "world", "start": -5, "end": -4}]},
        {"language": ["en"], "model": 5},
    ],
)
def test_odd_numbers_cost_no_words_and_leave_times_inside_the_sound(odd: dict[str, Any]) -> None:
    answer = read({"text": "Hello world."} | odd)
    times = [time for _, start_s, end_s in placed(answer) for time in (start_s, end_s)]
    assert [text for text, _, _ in placed(answer)] == ["Hello", "world."]
    assert times == sorted(times)
    assert min(times) >= 0.0
    assert max(times) <= 1.02


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"{}", b'{"text": 5}', b'{"text": "x', b"\xff", b"[" * 100_000])
def test_what_is_no_transcript_is_refused(body: bytes) -> None:
    with pytest.raises(BackendFailed):
        read_answer(body, SILENCE, "en")
