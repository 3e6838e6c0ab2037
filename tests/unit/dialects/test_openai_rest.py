"""Transcripts as OpenAI's answers and events. The SDK's types see the same from a running server, in tests/compat."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from app.dialects.openai_errors import error_object, render_error, status
from app.dialects.openai_events import EventRenderer, render_failure
from app.dialects.openai_options import SpeechRequest
from app.dialects.openai_rest import render_transcript, speaker_letters
from app.domain.errors import EngineFailed, ErrorKind, InsufficientScope, SttError, UnsupportedModel
from app.domain.options import TranscribeOptions
from app.domain.transcript import Channel, TokenScore, Transcript, Word
from tests.support.transcripts import MODEL, segment, talk, words

TOKENS = (TokenScore(b" \xc2", -0.5), TokenScore(b"\xbfQu\xc3\xa9", -0.25), TokenScore(b"?", 0.0))


def request(response_format: str = "json", **given: Any) -> SpeechRequest:
    return SpeechRequest(
        **({"options": TranscribeOptions(), "name": "whisper-1", "response_format": response_format} | given)
    )


def rendered(transcript: Transcript, asked: SpeechRequest) -> Any:
    return json.loads(render_transcript(transcript, asked)[0])


def two_segments(language: str = "en") -> Transcript:
    first = replace(
        segment(words("\u201cHello,\u201d she said.")),
        window_start_s=0.25,
        temperature=0.5,
        no_speech_prob=0.125,
        scores=TOKENS,
    )
    return Transcript((Channel((first, segment(words("Don't go!", start_s=2.0))), language),), 3.21, MODEL)


def test_verbose_json_to_the_letter() -> None:
    assert rendered(two_segments(), request("verbose_json", granularities=frozenset({"word", "segment"}))) == {
        "task": "transcribe",
        "language": "english",
        "duration": 3.21,
        "text": "\u201cHello,\u201d she said. Don't go!",
        "segments": [
            {
                "id": 0,
                "seek": 25,
                "start": 0.0,
                "end": 1.5,
                "text": " \u201cHello,\u201d she said.",
                "tokens": [0, 1, 2],
                "temperature": 0.5,
                "avg_logprob": -0.1,
                "compression_ratio": pytest.approx(0.76, abs=0.05),
                "no_speech_prob": 0.125,
            },
            {
                "id": 1,
                "seek": 0,
                "start": 2.0,
                "end": 3.0,
                "text": " Don't go!",
                "tokens": [0, 1],
                "temperature": 0.0,
                "avg_logprob": -0.1,
                "compression_ratio": pytest.approx(0.53, abs=0.05),
                "no_speech_prob": 0.0,
            },
        ],
        "words": [
            {"word": "Hello", "start": 0.0, "end": 0.5},
            {"word": "she", "start": 0.5, "end": 1.0},
            {"word": "said", "start": 1.0, "end": 1.5},
            {"word": "Don't", "start": 2.0, "end": 2.5},
            {"word": "go", "start": 2.5, "end": 3.0},
        ],
        "usage": {"type": "duration", "seconds": 4},
    }


def test_a_language_without_spaces_gets_none() -> None:
    answer = rendered(two_segments("zh"), request("verbose_json"))
    assert answer["text"].endswith("said.Don't go!")
    assert answer["segments"][1]["text"] == "Don't go!"
    assert answer["language"] == "chinese"


def test_usage_in_tokens_counts_sound_prompt_and_text() -> None:
    asked = request(name="gpt-4o-transcribe", options=TranscribeOptions(prompt="12345"))
    assert rendered(two_segments(), asked)["usage"] == {
        "type": "tokens",
        "input_tokens": 35,
        "input_token_details": {"text_tokens": 2, "audio_tokens": 33},
        "output_tokens": 5,
        "total_tokens": 40,
    }


def test_a_token_may_hold_part_of_a_character() -> None:
    assert rendered(two_segments(), request(logprobs=True))["logprobs"] == [
        {"token": " \ufffd", "logprob": -0.5, "bytes": [32, 194]},
        {"token": "\ufffdQu\u00e9", "logprob": -0.25, "bytes": [191, 81, 117, 195, 169]},
        {"token": "?", "logprob": 0.0, "bytes": [63]},
    ]


def test_a_translation_is_its_text_alone() -> None:
    assert rendered(talk("Good morning."), request(options=TranscribeOptions(translate=True))) == {"text": "Good morning."}


def test_speakers_have_letters_and_change_within_a_segment() -> None:
    said = [replace(word, speaker=speaker) for word, speaker in zip(words("Hi there. Yes? No."), (0, 0, 1, 0), strict=True)]
    answer = rendered(Transcript((Channel((segment(tuple(said)),), "en"),), 2.0, MODEL), request("diarized_json"))
    assert [(part["speaker"], part["text"], part["start"]) for part in answer["segments"]] == [
        ("A", "Hi there.", 0.0),
        ("B", "Yes?", 1.0),
        ("A", "No.", 1.5),
    ]
    assert {part["type"] for part in answer["segments"]} == {"transcript.text.segment"}


@pytest.mark.parametrize(("speaker", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (702, "AAA")])
def test_letters_of_many_speakers(speaker: int, letters: str) -> None:
    assert speaker_letters(speaker) == letters


def test_words_of_punctuation_alone_are_not_emptied() -> None:
    odd = Transcript((Channel((segment((Word("...", 0.0, 0.5, 0.9),)),), "en"),), 1.0, MODEL)
    answer = rendered(odd, request("verbose_json", granularities=frozenset({"word"})))
    assert answer["words"][0]["word"] == "..."
    assert "segments" not in answer


def test_events_of_pieces_make_up_the_last_one() -> None:
    transcript = two_segments()
    renderer = EventRenderer(request(logprobs=True))
    (channel,) = transcript.channels
    pieces = [replace(channel, segments=(part,)) for part in channel.segments]
    told = [json.loads(event[6:]) for piece in pieces for event in renderer.heard(piece)]
    (done,) = [json.loads(event[6:]) for event in renderer.done(transcript)]
    assert [event["delta"] for event in told] == ["\u201cHello,\u201d she said.", " Don't go!"]
    assert "".join(event["delta"] for event in told) == done["text"]
    assert [entry for event in told for entry in event["logprobs"]] == done["logprobs"]
    assert done["usage"]["type"] == "tokens"


def test_a_failure_on_the_way_is_an_event_of_its_own() -> None:
    first, data, *rest = render_failure(EngineFailed()).split(b"\n")
    assert (first, rest) == (b"event: error", [b"", b""])
    error = {"message": "Internal server error", "type": "server_error", "param": None, "code": None}
    assert json.loads(data.removeprefix(b"data: ")) == {"error": error}


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_error_has_openais_four_keys(kind: ErrorKind) -> None:
    error = SttError("It went wrong.", parameter="model")
    error.kind = kind
    assert set(error_object(error)) == {"message", "type", "param", "code"}
    assert json.loads(render_error(error))["error"]["param"] == "model"


def test_statuses_that_differ_from_deepgrams() -> None:
    assert status(InsufficientScope(), 401) == 403
    assert status(UnsupportedModel(parameter="model"), 400) == 404
    assert status(UnsupportedModel(parameter="language"), 400) == 400
    assert status(EngineFailed(), 500) == 500
