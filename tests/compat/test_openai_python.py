"""The OpenAI SDK for Python as its users call it, against a running server; answers are held to the SDK's own types."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types import Model
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionDiarizedSegment,
    TranscriptionSegment,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionTextSegmentEvent,
    TranscriptionVerbose,
    TranscriptionWord,
    Translation,
    TranslationVerbose,
)
from pydantic import BaseModel

from tests.support.running_server import CLIPS, RunningServer

pytestmark = pytest.mark.compat

SENTENCES = "Good morning John. How are you today? Please open the red door. The window is blue."


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[OpenAI]:
    with OpenAI(api_key=server.key, base_url=f"{server.url}/v1", max_retries=0, timeout=60) as opened:
        yield opened


def clip(name: str) -> tuple[str, bytes]:
    return name, next(folder / name for folder in CLIPS if (folder / name).exists()).read_bytes()


def is_exactly(
    answer: Any, expected: type[BaseModel], *, without: set[str] | None = None, extra: set[str] | None = None
) -> None:
    """The answer has the fields of the SDK's type, validates strictly, and has no other fields."""
    assert isinstance(answer, expected)
    raw = answer.to_dict()
    expected.model_validate_json(answer.to_json(), strict=True)
    assert set(raw) == set(expected.model_fields) - (without or set()) | (extra or set())


class TestFormats:
    def test_json_is_the_default(self, client: OpenAI) -> None:
        answer = client.audio.transcriptions.create(file=clip("hello-world.mp3"), model="whisper-1")
        assert answer.text == "Hello world."
        is_exactly(answer, Transcription, without={"logprobs", "languages"})
        assert answer.usage is not None
        assert answer.usage.to_dict() == {"type": "duration", "seconds": 2}

    def test_gpt_models_are_counted_in_tokens(self, client: OpenAI) -> None:
        answer = client.audio.transcriptions.create(file=clip("hello-world.wav"), model="gpt-4o-transcribe", prompt="Hello.")
        usage: Any = answer.usage
        assert (usage.type, usage.input_token_details.audio_tokens, usage.input_token_details.text_tokens) == (
            "tokens",
            14,
            2,
        )
        assert usage.output_tokens >= 2
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens

    def test_gpt_transcribe_names_the_languages(self, client: OpenAI) -> None:
        answer = client.audio.transcriptions.create(
            file=clip("french.wav"), model="gpt-transcribe", languages=["fr", "en"], keywords=["fenêtre"]
        )
        assert [language.code for language in answer.languages or []] == ["fr"]

    @pytest.mark.parametrize(("name", "language"), [("german.wav", "german"), ("spanish.wav", "spanish")])
    def test_the_language_is_detected_and_named_in_full(self, client: OpenAI, name: str, language: str) -> None:
        answer = client.audio.transcriptions.create(file=clip(name), model="whisper-1", response_format="verbose_json")
        assert answer.language == language

    def test_verbose_json_has_segments_with_every_figure(self, client: OpenAI) -> None:
        answer = client.audio.transcriptions.create(
            file=clip("sentences-10s.wav"), model="whisper-1", language="en", response_format="verbose_json", temperature=0
        )
        is_exactly(answer, TranscriptionVerbose, without={"words"}, extra={"task"})
        assert (answer.text, answer.language, answer.duration) == (SENTENCES, "english", pytest.approx(9.9, abs=0.3))
        segments = answer.segments or []
        assert "".join(segment.text for segment in segments) == f" {SENTENCES}"
        assert [segment.id for segment in segments] == list(range(len(segments)))
        for segment in segments:
            is_exactly(segment, TranscriptionSegment)
            assert 0 <= segment.start < segment.end <= answer.duration
            assert segment.tokens
            assert -1 < segment.avg_logprob < 0
            assert 0 < segment.no_speech_prob < 0.1
            assert 0.3 < segment.compression_ratio < 2
            assert segment.seek <= segment.start * 100
        assert len({segment.avg_logprob for segment in segments}) > 1

    def test_words_are_told_alone_or_beside_the_segments(self, client: OpenAI) -> None:
        for granularities in (["word"], ["word", "segment"]):
            answer = client.audio.transcriptions.create(
                file=clip("sentences-10s.wav"),
                model="whisper-1",
                response_format="verbose_json",
                timestamp_granularities=granularities,  # type: ignore[arg-type]
            )
            assert (answer.segments is not None) == ("segment" in granularities)
            words = answer.words or []
            assert [word.word for word in words] == SENTENCES.replace(".", "").replace("?", "").split()
            assert all(before.end <= after.start for before, after in pairwise(words))
            for word in words:
                is_exactly(word, TranscriptionWord)

    @pytest.mark.parametrize(
        ("response_format", "expected"),
        [
            ("text", "Hello world.\n"),
            ("srt", r"1\n00:00:0\d,\d{3} --> 00:00:0\d,\d{3}\nHello world\.\n"),
            ("vtt", r"WEBVTT\n\n00:00:0\d\.\d{3} --> 00:00:0\d\.\d{3}\nHello world\.\n"),
        ],
    )
    def test_the_other_formats_are_text(self, client: OpenAI, response_format: Any, expected: str) -> None:
        answer: Any = client.audio.transcriptions.create(
            file=clip("hello-world.opus"), model="whisper-1", response_format=response_format
        )
        assert re.fullmatch(expected, answer)

    def test_logprobs_are_those_of_the_tokens(self, client: OpenAI) -> None:
        answer = client.audio.transcriptions.create(
            file=clip("hello-world.wav"), model="gpt-4o-mini-transcribe", include=["logprobs"], language="en"
        )
        logprobs = answer.logprobs or []
        assert bytes(int(byte) for entry in logprobs for byte in entry.bytes or []).decode().strip() == answer.text
        assert "".join(entry.token or "" for entry in logprobs).strip() == answer.text
        assert all(entry.logprob is not None and -5 < entry.logprob <= 0 for entry in logprobs)
        assert len({entry.logprob for entry in logprobs}) > 1

    def test_speakers_are_told_apart(self, client: OpenAI) -> None:
        answer: Any = client.audio.transcriptions.create(
            file=clip("dialogue-two-speakers.wav"),
            model="gpt-4o-transcribe-diarize",
            response_format="diarized_json",
            chunking_strategy="auto",
        )
        is_exactly(answer, TranscriptionDiarized)
        for segment in answer.segments:
            is_exactly(segment, TranscriptionDiarizedSegment)
        assert {segment.speaker for segment in answer.segments} == {"A", "B"}
        assert " ".join(segment.text for segment in answer.segments) == answer.text
        assert len({segment.id for segment in answer.segments}) == len(answer.segments)

    @pytest.mark.parametrize(
        "strategy",
        ["auto", {"type": "server_vad", "threshold": 0.4, "prefix_padding_ms": 200, "silence_duration_ms": 300}],
    )
    def test_how_the_sound_is_cut_may_be_chosen(self, client: OpenAI, strategy: Any) -> None:
        answer = client.audio.transcriptions.create(
            file=clip("sentences-10s.wav"), model="gpt-4o-transcribe", chunking_strategy=strategy
        )
        assert answer.text == SENTENCES

    def test_silence_has_no_text(self, client: OpenAI) -> None:
        answer = client.audio.transcriptions.create(
            file=clip("silence-5s.wav"), model="whisper-1", response_format="verbose_json"
        )
        assert (answer.text, answer.segments) == ("", [])


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the SDK's word on its own method
class TestTranslations:
    def test_speech_becomes_english(self, client: OpenAI) -> None:
        answer = client.audio.translations.create(file=clip("french.wav"), model="whisper-1")
        is_exactly(answer, Translation)
        assert "window" in answer.text

    def test_verbose_json_says_english(self, client: OpenAI) -> None:
        answer: Any = client.audio.translations.create(
            file=clip("german.wav"), model="whisper-1", response_format="verbose_json"
        )
        is_exactly(answer, TranslationVerbose, extra={"task", "usage"})
        assert (answer.language, answer.task) == ("english", "translate")

    def test_captions(self, client: OpenAI) -> None:
        answer: Any = client.audio.translations.create(file=clip("spanish.wav"), model="whisper-1", response_format="srt")
        assert answer.startswith("1\n00:00:0")


class TestStreaming:
    def test_deltas_make_up_the_text(self, client: OpenAI) -> None:
        events: list[Any] = list(
            client.audio.transcriptions.create(
                file=clip("sentences-10s.wav"), model="gpt-4o-transcribe", stream=True, include=["logprobs"], language="en"
            )
        )
        *deltas, done = events
        assert "".join(delta.delta for delta in deltas) == done.text == SENTENCES
        for delta in deltas:
            is_exactly(delta, TranscriptionTextDeltaEvent, without={"segment_id"})
        is_exactly(done, TranscriptionTextDoneEvent, without={"languages"})
        told = [entry.to_dict() for delta in deltas for entry in delta.logprobs]
        assert told == [entry.to_dict() for entry in done.logprobs]
        assert done.usage.output_tokens == len(done.logprobs)

    def test_speakers_come_before_the_end(self, client: OpenAI) -> None:
        events: list[Any] = list(
            client.audio.transcriptions.create(
                file=clip("dialogue-two-speakers.wav"),
                model="gpt-4o-transcribe-diarize",
                response_format="diarized_json",
                stream=True,
            )
        )
        segments = [event for event in events if isinstance(event, TranscriptionTextSegmentEvent)]
        for segment in segments:
            is_exactly(segment, TranscriptionTextSegmentEvent)
        assert {segment.speaker for segment in segments} == {"A", "B"}
        assert " ".join(segment.text for segment in segments) == events[-1].text

    def test_an_error_is_an_error_and_no_stream(self, client: OpenAI) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            client.audio.transcriptions.create(file=("a.wav", b"no sound"), model="whisper-1", stream=True)
        assert caught.value.code == "audio_unreadable"

    def test_the_asynchronous_client(self, server: RunningServer) -> None:
        async def main() -> tuple[str, str]:
            async with AsyncOpenAI(api_key=server.key, base_url=f"{server.url}/v1", max_retries=0) as client:
                stream = await client.audio.transcriptions.create(
                    file=clip("hello-world.wav"), model="gpt-4o-mini-transcribe", stream=True
                )
                deltas = [event.delta async for event in stream if event.type == "transcript.text.delta"]
                whole = await client.audio.transcriptions.create(file=clip("hello-world.wav"), model="whisper-1")
                return "".join(deltas), whole.text

        assert asyncio.run(main()) == ("Hello world.", "Hello world.")


class TestErrors:
    @pytest.mark.parametrize(
        ("given", "raised", "param", "code"),
        [
            ({"model": "no-such-model"}, openai.NotFoundError, "model", "model_not_found"),
            ({"language": "xx"}, openai.BadRequestError, "language", "unsupported_language"),
            ({"response_format": "yaml"}, openai.BadRequestError, "response_format", "invalid_value"),
            ({"timestamp_granularities": ["word"]}, openai.BadRequestError, "timestamp_granularities", "invalid_value"),
            ({"include": ["logprobs"], "response_format": "text"}, openai.BadRequestError, "include", "invalid_value"),
            ({"temperature": 3}, openai.BadRequestError, "temperature", "invalid_value"),
            ({"known_speaker_names": ["agent"]}, openai.BadRequestError, "known_speaker_names", "invalid_value"),
            ({"chunking_strategy": {"type": "other"}}, openai.BadRequestError, "chunking_strategy", "invalid_value"),
            ({"file": ("a.wav", b"")}, openai.BadRequestError, None, "audio_unreadable"),
        ],
    )
    def test_errors_are_the_sdks_own(
        self, client: OpenAI, given: dict[str, Any], raised: type[openai.APIStatusError], param: str | None, code: str
    ) -> None:
        with pytest.raises(raised) as caught:
            client.audio.transcriptions.create(**({"file": clip("hello-world.wav"), "model": "whisper-1"} | given))
        error = caught.value
        assert (error.param, error.code, error.type) == (param, code, "invalid_request_error")
        assert error.request_id == error.response.headers["dg-request-id"]

    def test_a_wrong_key_is_an_authentication_error(self, server: RunningServer) -> None:
        with (
            OpenAI(api_key="wrong", base_url=f"{server.url}/v1", max_retries=0) as client,
            pytest.raises(openai.AuthenticationError) as caught,
        ):
            client.audio.transcriptions.create(file=clip("hello-world.wav"), model="whisper-1")
        assert caught.value.code == "invalid_api_key"


class TestModels:
    def test_models_are_listed(self, client: OpenAI) -> None:
        listed = client.models.list()
        assert "selftest" in [model.id for model in listed]
        assert all(isinstance(model, Model) and model.object == "model" for model in listed)

    @pytest.mark.parametrize("name", ["selftest", "whisper-1", "gpt-4o-transcribe"])
    def test_a_model_is_shown_by_any_of_its_names(self, client: OpenAI, name: str) -> None:
        assert client.models.retrieve(name).id == "selftest"

    def test_an_unknown_model_is_not_found(self, client: OpenAI) -> None:
        with pytest.raises(openai.NotFoundError) as caught:
            client.models.retrieve("no-such-model")
        assert caught.value.code == "not_found"
