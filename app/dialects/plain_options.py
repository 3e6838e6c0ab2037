"""Forms and queries of the plain endpoints -> options. What a client does not know of need not be given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from app.dialects.openai_form import Form
from app.dialects.openai_names import wanted_language, wanted_model
from app.domain.audio import SAMPLE_RATE, AudioFormat
from app.domain.errors import InvalidParameter, InvalidRequest
from app.domain.options import LiveOptions, TextOptions, TranscribeOptions
from app.domain.stream.options import StreamOptions

TASKS = ("transcribe", "translate")

RAW = AudioFormat("linear16", SAMPLE_RATE)
"""Samples without a header, as these servers take them: 16 kHz, one channel."""

AS_WRITTEN = TextOptions(punctuate=True, filler_words=True)
"""The text as the model wrote it."""

MAX_PROMPT_CHARACTERS = 1000
"""Whisper reads the last 224 tokens of a prompt; splitting more into tokens would only cost time."""

STREAM_PAUSE_S = 0.3
"""Silence that makes the text of ``/ws/transcribe`` final: what is usual for conversations."""

_RATES_HZ = (8_000, 96_000)
_MAX_FIELDS = 100

Fields = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """What ``POST /transcribe`` asks for. ``with_words``: list the words of each segment."""

    options: TranscribeOptions
    with_words: bool


def parse_query(raw_query: bytes) -> tuple[tuple[str, str], ...]:
    """The fields of a query string, empty ones included. Raises ``InvalidRequest``."""
    try:
        return tuple(parse_qsl(raw_query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError as error:
        raise InvalidRequest from error


def parse_transcribe(fields: Fields) -> PlainRequest:
    """``language``, ``task``, ``word_timestamps``, ``diarize``, ``model`` and ``prompt``; others have no effect.

    Raises ``InvalidParameter`` or ``UnsupportedModel``.
    """
    form = Form(fields)
    options = recording_options(form, prompt_name="prompt")
    return PlainRequest(options, form.flag("word_timestamps"))


def parse_detection(fields: Fields) -> TranscribeOptions:
    """``model``, and ``encode=false`` for samples without a header."""
    form = Form(fields)
    return TranscribeOptions(model=wanted_model(form.text("model")), detect_language=True, audio_format=declared(form))


def parse_stream(fields: Fields) -> LiveOptions:
    """``language``, ``task``, ``model``, ``prompt`` and ``sample_rate`` of ``WS /ws/transcribe``."""
    form = Form(fields)
    language = wanted_language(form.text("language"))
    rate = form.number("sample_rate", *_RATES_HZ)
    return LiveOptions(
        model=wanted_model(form.text("model")),
        language=language or "en",
        code_switching=language is None,
        translate=form.choice("task", TASKS, "transcribe") == "translate",
        prompt=prompt_text(form, "prompt"),
        audio_format=RAW if rate is None else AudioFormat("linear16", round(rate)),
        text=AS_WRITTEN,
        stream=StreamOptions(interim_results=True, endpointing_s=STREAM_PAUSE_S),
    )


def recording_options(form: Form, prompt_name: str) -> TranscribeOptions:
    """What all these endpoints have in common."""
    language = wanted_language(form.text("language"))
    return TranscribeOptions(
        model=wanted_model(form.text("model")),
        language=language or "en",
        detect_language=language is None,
        translate=form.choice("task", TASKS, "transcribe") == "translate",
        prompt=prompt_text(form, prompt_name),
        diarize=form.flag("diarize"),
        audio_format=declared(form),
        text=AS_WRITTEN,
    )


def declared(form: Form) -> AudioFormat | None:
    """``encode=false`` is how clients of whisper-asr-webservice say that they send bare samples."""
    if form.text("encode") is None or form.flag("encode"):
        return None
    return RAW


def prompt_text(form: Form, name: str) -> str:
    """A prompt of bearable length."""
    prompt = form.text(name) or ""
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise InvalidParameter(f"{name}: at most {MAX_PROMPT_CHARACTERS} characters are accepted", parameter=name)
    return prompt
