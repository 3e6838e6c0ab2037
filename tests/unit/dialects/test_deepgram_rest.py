from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import orjson
import pytest

from app.dialects.deepgram_rest import RequestFacts, render_error, render_response, timestamp
from app.dialects.statuses import STATUS
from app.domain import errors
from app.domain.options import TextOptions, TranscribeOptions
from app.domain.transcript import LanguageGuess, RequestWarning, Transcript
from tests.support.transcripts import MODEL, channel, talk

ARRIVED = datetime(2026, 1, 2, 3, 4, 5, 678901, timezone.utc)
FACTS = RequestFacts("2479c8c8-8185-40ac-9ac6-f0874419f793", ARRIVED, "ab" * 32)


def render(transcript: Transcript, text: TextOptions | None = None, **options: Any) -> dict[str, Any]:
    asked = TranscribeOptions(text=text or TextOptions(), **options)
    body: dict[str, Any] = orjson.loads(render_response(transcript, asked, FACTS))
    return body


def test_without_punctuation_words_are_lower_case_and_bare() -> None:
    alternative = render(talk("Hello, World. I'll go."))["results"]["channels"][0]["alternatives"][0]
    assert alternative["transcript"] == "hello world i'll go"
    assert alternative["transcript"] == " ".join(word["word"] for word in alternative["words"])
    assert all("punctuated_word" not in word for word in alternative["words"])
    assert "paragraphs" not in alternative


def test_with_punctuation_the_transcript_is_the_joined_punctuated_words() -> None:
    alternative = render(talk("Hello, World."), TextOptions(punctuate=True))["results"]["channels"][0]["alternatives"][0]
    assert alternative["transcript"] == "Hello, World."
    assert [word["punctuated_word"] for word in alternative["words"]] == ["Hello,", "World."]
    assert [word["word"] for word in alternative["words"]] == ["hello", "world"]
    assert list(alternative["words"][0]) == ["word", "start", "end", "confidence", "punctuated_word"]


def test_confidence_is_the_upper_median() -> None:
    spoken = channel("one two three four")
    segment = spoken.segments[0]
    words = tuple(replace(word, confidence=c) for word, c in zip(segment.words, (0.1, 0.9, 0.5, 0.7), strict=True))
    transcript = Transcript((replace(spoken, segments=(replace(segment, words=words),)),), 2.0, MODEL)
    assert render(transcript)["results"]["channels"][0]["alternatives"][0]["confidence"] == 0.7


def test_no_speech_gives_an_empty_transcript() -> None:
    text = TextOptions(punctuate=True, paragraphs=True, utterances=True)
    results = render(talk(""), text)["results"]
    assert results["channels"][0]["alternatives"][0] == {
        "transcript": "",
        "confidence": 0.0,
        "words": [],
        "paragraphs": {"transcript": "\n", "paragraphs": []},
    }
    assert results["utterances"] == []


def test_metadata_has_every_field_that_sdks_require() -> None:
    metadata = render(talk("Hello.", duration_s=25.933313))["metadata"]
    assert metadata == {
        "transaction_key": "deprecated",
        "request_id": FACTS.request_id,
        "sha256": FACTS.sha256,
        "created": "2026-01-02T03:04:05.678Z",
        "duration": 25.933,
        "channels": 1,
        "models": [MODEL.uuid],
        "model_info": {MODEL.uuid: {"name": "selftest", "version": MODEL.version, "arch": "whisper"}},
    }


def test_warnings_tags_and_extra_appear_only_when_there_are_some() -> None:
    warning = RequestWarning("topics", "unsupported_parameter", "No topics are found.")
    facts = replace(FACTS, tags=("a", "b"), extra=(("k", "v"),))
    body = orjson.loads(render_response(talk("Hi.", warnings=(warning,)), TranscribeOptions(), facts))
    assert body["metadata"]["warnings"] == [
        {"parameter": "topics", "type": "unsupported_parameter", "message": "No topics are found."}
    ]
    assert body["metadata"]["tags"] == ["a", "b"]
    assert body["metadata"]["extra"] == {"k": "v"}


def test_paragraphs_begin_with_a_newline_and_count_their_words() -> None:
    text = TextOptions(punctuate=True, paragraphs=True)
    paragraphs = render(talk("Hello world. Bye. | | Again."), text)["results"]["channels"][0]["alternatives"][0][
        "paragraphs"
    ]
    assert paragraphs["transcript"] == "\nHello world. Bye.\n\nAgain."
    assert paragraphs["paragraphs"][0] == {
        "sentences": [
            {"text": "Hello world.", "start": 0.0, "end": 1.0},
            {"text": "Bye.", "start": 1.0, "end": 1.5},
        ],
        "num_words": 3,
        "start": 0.0,
        "end": 1.5,
    }


def test_utterances_of_all_channels_are_ordered_by_start() -> None:
    text = TextOptions(utterances=True)
    utterances = render(talk("one | | two", "| three"), text)["results"]["utterances"]
    assert [(utterance["transcript"], utterance["channel"]) for utterance in utterances] == [
        ("one", 0),
        ("three", 1),
        ("two", 0),
    ]
    assert all(UUID(utterance["id"]) for utterance in utterances)
    assert list(utterances[0]) == ["start", "end", "confidence", "channel", "transcript", "words", "id"]
    assert utterances[0]["confidence"] == 0.9


def test_a_detected_language_is_reported_only_when_asked_for() -> None:
    transcript = Transcript((channel("Hola.", "es", LanguageGuess("es", 0.987)),), 1.0, MODEL)
    rendered = render(transcript, detect_language=True)["results"]["channels"][0]
    assert (rendered["detected_language"], rendered["language_confidence"]) == ("es", 0.987)
    assert "detected_language" not in render(transcript)["results"]["channels"][0]


def test_code_switching_names_the_language_at_each_word() -> None:
    transcript = Transcript((channel("Hola.", "es"),), 1.0, MODEL)
    alternative = render(transcript, code_switching=True)["results"]["channels"][0]["alternatives"][0]
    assert alternative["languages"] == ["es"]
    assert alternative["words"][0]["language"] == "es"


def test_languages_without_spaces_join_without_spaces() -> None:
    transcript = Transcript((channel("你 好。", "zh"),), 1.0, MODEL)
    assert render(transcript)["results"]["channels"][0]["alternatives"][0]["transcript"] == "你好"


def test_times_look_like_floats() -> None:
    body = render_response(talk("Hi.", duration_s=2.0), TranscribeOptions(), FACTS)
    assert b'"duration":2.0' in body
    assert b'"start":0.0' in body


def test_timestamps_keep_three_digits() -> None:
    assert timestamp(datetime(2026, 1, 1, tzinfo=timezone.utc)) == "2026-01-01T00:00:00.000Z"


ALL_ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.SttError) and kind is not errors.SttError
]


@pytest.mark.parametrize("kind", ALL_ERRORS)
def test_every_error_has_a_status_and_deepgrams_shape(kind: type[errors.SttError]) -> None:
    body = orjson.loads(render_error(kind(), "some-id"))
    assert set(body) >= {"err_code", "err_msg", "request_id"}
    assert body["request_id"] == "some-id"
    assert body["err_msg"]
    assert 400 <= STATUS[kind.kind] < 600


def test_every_kind_of_error_is_raised_by_one_class() -> None:
    assert sorted(kind.kind for kind in ALL_ERRORS) == sorted(errors.ErrorKind)
