"""The form of ``/v1/audio/transcriptions`` and ``/v1/audio/translations`` -> what is to be done and how it is answered."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from app.dialects.openai_form import Form, unusable
from app.dialects.openai_names import wanted_language, wanted_model
from app.domain.chunking import ChunkingOptions
from app.domain.errors import InvalidParameter
from app.domain.options import DecodingChoices, Keyterm, TextOptions, TranscribeOptions
from app.domain.vocabulary import check_keyterms, strongest

FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
TRANSLATION_FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
GRANULARITIES = ("word", "segment")
INCLUDABLE = ("logprobs",)

MAX_PROMPT_CHARACTERS = 1000
"""Whisper reads the last 224 tokens of a prompt, and so does OpenAI: what stands before them is left out."""

MAX_KEYWORDS = 100
_VOICES = ("known_speaker_names", "known_speaker_references")
_STRATEGY = "chunking_strategy"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the form, for the documentation. ``kind`` is JSON schema's type."""

    name: str
    kind: str
    note: str
    translations: bool = False


FIELDS = (
    Field("file", "file", "The recording, in any audio or video format; its bytes decide, not its name.", translations=True),
    Field("model", "string", "Names that begin with gpt- and whisper-1 mean the default model.", translations=True),
    Field("language", "string", "Of the speech, as a code; detected when absent.", translations=True),
    Field("prompt", "string", "Text the model is conditioned on; its last 1000 characters count.", translations=True),
    Field("response_format", "string", "json, text, srt, vtt, verbose_json or diarized_json.", translations=True),
    Field("temperature", "number", "0 to 1.", translations=True),
    Field("timestamp_granularities[]", "array", "word, segment; with verbose_json."),
    Field("stream", "boolean", "Answer with events while decoding goes on, whatever the model is called."),
    Field("include[]", "array", "logprobs; with json."),
    Field("chunking_strategy", "string", "auto, or an object of type server_vad as JSON."),
    Field("keywords[]", "array", "Words to favour; at most 100."),
    Field("languages[]", "array", "Languages to choose from when none is given."),
    Field("known_speaker_names[]", "array", "Refused: voices are told apart, not recognised."),
    Field("known_speaker_references[]", "array", "Refused, as the names."),
)
"""Every field that is read, in OpenAI's order; ours are none."""


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One recording as it was asked for. ``name``: the model as the client wrote it, in lower case."""

    options: TranscribeOptions
    name: str
    response_format: str = "json"
    granularities: frozenset[str] = frozenset({"segment"})
    logprobs: bool = False
    stream: bool = False


def parse_transcription(fields: Iterable[tuple[str, str]]) -> SpeechRequest:
    """Raises ``InvalidParameter`` for values that cannot be used and ``UnsupportedModel`` for unknown languages."""
    form = Form(fields)
    response_format = form.choice("response_format", FORMATS, "json")
    granularities = form.choices("timestamp_granularities", GRANULARITIES)
    if response_format != "verbose_json" and not _is_default_of_gpt(granularities, _name(form)):
        raise unusable("timestamp_granularities", "it needs response_format 'verbose_json'")
    logprobs = bool(form.choices("include", INCLUDABLE))
    if logprobs and response_format != "json":
        raise unusable("include", "logprobs need response_format 'json'")
    for name in _VOICES:
        if form.texts(name):
            raise InvalidParameter(f"'{name}' is not supported: voices are told apart, not recognised.", parameter=name)
    stream = form.flag("stream")
    if stream and response_format not in ("json", "text", "diarized_json"):
        raise unusable("stream", "it needs response_format 'json', 'text' or 'diarized_json'")
    options = _options(
        form,
        scores=logprobs or response_format == "verbose_json",
        diarize=response_format == "diarized_json",
        chunking=_chunking(form),
        keyterms=_keyterms(form),
        languages=tuple(code for tag in form.texts("languages") if (code := wanted_language(tag))),
    )
    return SpeechRequest(options, _name(form), response_format, granularities or frozenset({"segment"}), logprobs, stream)


def parse_translation(fields: Iterable[tuple[str, str]]) -> SpeechRequest:
    """As ``parse_transcription``; ``language`` is that of the speech, the text is English."""
    form = Form(fields)
    response_format = form.choice("response_format", TRANSLATION_FORMATS, "json")
    options = _options(form, scores=response_format == "verbose_json", translate=True)
    return SpeechRequest(options, _name(form), response_format)


def _options(
    form: Form,
    *,
    scores: bool,
    translate: bool = False,
    diarize: bool = False,
    chunking: ChunkingOptions | None = None,
    keyterms: tuple[Keyterm, ...] = (),
    languages: tuple[str, ...] = (),
) -> TranscribeOptions:
    language = wanted_language(form.text("language"))
    return TranscribeOptions(
        model=wanted_model(form.text("model")),
        language=language or "en",
        detect_language=language is None,
        detect_among=languages if language is None else (),
        translate=translate,
        prompt=(form.text("prompt") or "")[-MAX_PROMPT_CHARACTERS:],
        keyterms=keyterms,
        decoding=DecodingChoices(temperature=form.number("temperature", 0.0, 1.0)),
        scores=scores,
        chunking=chunking,
        diarize=diarize,
        text=TextOptions(punctuate=True, filler_words=True),
    )


def _is_default_of_gpt(granularities: frozenset[str], name: str) -> bool:
    """None, or what is the default anyway: Vercel's AI SDK sends ``segment`` with gpt models, which it asks for ``json``."""
    return not granularities or (granularities == {"segment"} and name.startswith("gpt-"))


def _name(form: Form) -> str:
    return (form.text("model") or "").lower()


def _keyterms(form: Form) -> tuple[Keyterm, ...]:
    keywords = form.texts("keywords")
    if len(keywords) > MAX_KEYWORDS:
        raise unusable("keywords", f"at most {MAX_KEYWORDS} are accepted")
    check_keyterms(keywords)
    return strongest([Keyterm(keyword) for keyword in keywords])


def _chunking(form: Form) -> ChunkingOptions | None:
    """None for ``auto``, for nothing and for null: recordings are always cut where nobody speaks."""
    whole = form.text(_STRATEGY)
    if whole is not None and whole.startswith("{"):
        form, whole = _flattened(whole), None
    kind = form.text(f"{_STRATEGY}[type]") or whole
    if kind in (None, "auto", "null"):
        return None
    if kind != "server_vad":
        raise unusable(_STRATEGY, "expected 'auto' or an object of type 'server_vad'")
    default = ChunkingOptions()
    threshold = form.number(f"{_STRATEGY}[threshold]", 0.0, 1.0)
    padding_ms = form.number(f"{_STRATEGY}[prefix_padding_ms]", 0.0, 5000.0)
    silence_ms = form.number(f"{_STRATEGY}[silence_duration_ms]", 0.0, 10_000.0)
    on = default.on_probability if threshold is None else threshold
    margin = default.on_probability - default.off_probability
    shortest_pause_s = max(default.min_silence_s, default.hangover_s)
    return ChunkingOptions(
        on_probability=on,
        off_probability=max(0.0, on - margin),
        preroll_s=default.preroll_s if padding_ms is None else padding_ms / 1000,
        max_pause_s=default.max_pause_s if silence_ms is None else max(shortest_pause_s, silence_ms / 1000),
    )


def _flattened(whole: str) -> Form:
    """A JSON object as the fields that the SDKs make of one."""
    try:
        found = json.loads(whole)
    except (ValueError, RecursionError):
        raise unusable(_STRATEGY, "it is no JSON") from None
    return Form((f"{_STRATEGY}[{key}]", str(value)) for key, value in found.items() if value is not None)
