from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wyoming.event import Event
from wyoming.info import Info

from app.dialects.wyoming_events import (
    Request,
    Transcription,
    live_options,
    parse_format,
    parse_request,
    render_error,
    render_info,
)
from app.domain.audio import AudioFormat
from app.domain.errors import EngineFailed, InvalidParameter, InvalidPayload, Overloaded, UnsupportedModel
from app.domain.options import Keyterm
from app.domain.ports import InstalledModel
from app.domain.stream.events import Results, SpeechStarted
from app.domain.transcript import ModelInfo
from tests.support.transcripts import words


def request(**data: Any) -> Request:
    return parse_request(Event("transcribe", data), "de")


def final(text: str, language: str | None = "en", *, is_final: bool = True) -> Results:
    return Results(0, 1, 0, 16_000, words(text), is_final, language=language)


class TestRequests:
    def test_nothing_asked_is_the_servers_language_and_model(self) -> None:
        assert request() == Request(None, "de", ())

    @pytest.mark.parametrize(("tag", "code"), [("en-US", "en"), ("fr", "fr"), ("", "de"), ("auto", "de")])
    def test_languages_as_home_assistant_writes_them(self, tag: str, code: str) -> None:
        assert request(language=tag).language == code

    def test_an_unknown_language(self) -> None:
        with pytest.raises(UnsupportedModel):
            request(language="xx")

    def test_names_and_terms_are_favoured(self) -> None:
        asked = request(transcript_names=["Kitchen light"], transcript_terms=["brightness", "Kitchen light"])
        assert asked.keyterms == (Keyterm("Kitchen light"), Keyterm("brightness"))

    def test_of_more_names_than_the_decoder_takes_the_first_ones_count(self) -> None:
        asked = request(transcript_names=[f"lamp {number}" for number in range(1000)], transcript_terms=["on"])
        assert 100 < len(asked.keyterms) < 500
        assert asked.keyterms[0] == Keyterm("lamp 0")

    @pytest.mark.parametrize(
        "data", [{"language": 5}, {"name": ["x"]}, {"transcript_names": "lamp"}, {"transcript_terms": [1]}]
    )
    def test_what_is_no_text(self, data: dict[str, Any]) -> None:
        with pytest.raises(InvalidPayload):
            request(**data)


class TestFormats:
    @pytest.mark.parametrize("kind", ["audio-start", "audio-chunk"])
    def test_any_event_with_sound_names_its_format(self, kind: str) -> None:
        data = {"rate": 22_050, "width": 2, "channels": 2}
        assert parse_format(Event(kind, data)) == AudioFormat("linear16", 22_050, 2)

    @pytest.mark.parametrize(
        "changed",
        [
            {"width": 4},
            {"width": "2"},
            {"rate": 0},
            {"rate": -1},
            {"rate": 10**9},
            {"rate": "fast"},
            {"rate": None},
            {"channels": 0},
            {"channels": 100},
        ],
    )
    def test_what_cannot_be_decoded(self, changed: dict[str, Any]) -> None:
        with pytest.raises(InvalidParameter):
            parse_format(Event("audio-start", {"rate": 16_000, "width": 2, "channels": 1} | changed))

    @pytest.mark.parametrize("missing", ["rate", "width", "channels"])
    def test_a_missing_part_is_named(self, missing: str) -> None:
        data = {"rate": 16_000, "width": 2, "channels": 1}
        del data[missing]
        with pytest.raises(InvalidParameter, match=missing):
            parse_format(Event("audio-start", data))


def test_without_a_language_it_is_detected() -> None:
    sound = AudioFormat("linear16", 16_000)
    assert live_options(Request(), sound).code_switching
    asked = live_options(Request("base", "fr", (Keyterm("x"),)), sound)
    assert (asked.model, asked.language, asked.code_switching, asked.keyterms) == ("base", "fr", False, (Keyterm("x"),))


def test_the_default_model_comes_first() -> None:
    def model(name: str) -> InstalledModel:
        return InstalledModel(ModelInfo(name, name, "1"), Path(name), 1, ("en", "de"), multilingual=True, translates=True)

    [program] = Info.from_event(render_info([model("tiny"), model("base"), model("small")], "base")).asr
    assert [each.name for each in program.models] == ["base", "tiny", "small"]
    assert program.models[0].languages == ["en", "de"]
    assert program.installed
    assert program.models[0].installed
    assert program.supports_transcript_streaming


def test_errors_have_a_code() -> None:
    assert render_error(Overloaded("no room")).data == {"text": "no room", "code": "overloaded"}


class TestTranscriptions:
    def test_each_final_is_a_chunk_and_chunks_make_the_text(self) -> None:
        growing = Transcription()
        assert growing.take(SpeechStarted(0, 1, 0)) == []
        assert growing.take(final("Turn", is_final=False)) == []
        first = growing.take(final("Turn on"))
        second = growing.take(final("the light."))
        assert growing.take(final("", None)) == []
        assert [event.type for event in (*first, *second)] == ["transcript-start", "transcript-chunk", "transcript-chunk"]
        assert first[0].data == {"language": "en"}
        end = growing.end()
        assert [event.type for event in end] == ["transcript", "transcript-stop"]
        chunks = [event.data["text"] for event in (*first, *second) if event.type == "transcript-chunk"]
        assert end[0].data == {"text": "".join(chunks), "language": "en"} == {"text": "Turn on the light.", "language": "en"}

    def test_silence_is_an_empty_text(self) -> None:
        end = Transcription().end()
        assert [event.type for event in end] == ["transcript-start", "transcript", "transcript-stop"]
        assert end[1].data["text"] == ""

    def test_speech_that_was_not_decoded_is_no_empty_text(self) -> None:
        growing = Transcription()
        growing.take(SpeechStarted(0, 1, 0))
        growing.take(final("", None))
        with pytest.raises(EngineFailed):
            growing.end()

    def test_languages_without_spaces_are_joined_without(self) -> None:
        growing = Transcription()
        growing.take(final("你 好", "zh"))
        growing.take(final("吗", "zh"))
        assert growing.end()[0].data["text"] == "你好吗"
