"""``/v1/listen``'s query -> options: what is supported, what is reported as without effect, what is refused (contract 2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.dialects.deepgram_callback import REQUESTS, parse_callback
from app.dialects.deepgram_intelligence import intelligence_options
from app.dialects.deepgram_query import Query
from app.dialects.deepgram_text import redactions, replacements, search_phrases
from app.dialects.deepgram_vocabulary import key_terms
from app.domain.audio import HEADERLESS_ENCODINGS, AudioFormat, TimeRange
from app.domain.errors import InvalidParameter, InvalidRequest
from app.domain.jobs import Callback
from app.domain.languages import MULTI, whisper_language
from app.domain.options import DEFAULT_UTTERANCE_SPLIT_S, DecodingChoices, TextOptions, TranscribeOptions
from app.domain.text.cues import CueLimits

MAX_TAG_CHARACTERS = 128
MAX_EXTRA_CHARACTERS = 2048
MAX_PROMPT_CHARACTERS = 1000
MAX_DECODERS = 8
"""Beams or candidates at most: what whisper.cpp keeps buffers for."""

MAX_SECONDS = 1_000_000.0
"""Seconds that ``start`` and ``duration`` may name: eleven days, far above every recording that is taken."""

MIN_SAMPLE_RATE = 1000
MAX_SAMPLE_RATE = 384_000
"""Hertz between which sound can be speech; at 1 Hz a megabyte would unpack to days."""

MIN_CAPTION_COLUMNS, MAX_CAPTION_COLUMNS, MAX_CAPTION_LINES = 10, 200, 4
MIN_CAPTION_S, MAX_CAPTION_S = 1.0, 60.0
"""Bounds of what can still be called captions: narrower ones have a word a line, longer ones hold a paragraph."""

DIARIZE_MODELS = ("latest", "v1", "v2")
LIVE_DIARIZE_MODELS = ("latest", "v1")
RESPONSE_FORMATS = ("json", "srt", "vtt", "text")

_DEFAULT_RATES = {"mulaw": 8000, "alaw": 8000, "amr-nb": 8000, "amr-wb": 16_000, "opus": 48_000, "ogg-opus": 48_000}
"""Hertz of encodings that have one usual rate; the others need ``sample_rate``."""


@dataclass(frozen=True, slots=True)
class ListenRequest:
    """One call of ``POST /v1/listen``: what to do, and what the response repeats or looks like."""

    options: TranscribeOptions
    tags: tuple[str, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()
    response_format: str = "json"
    captions: CueLimits = field(default_factory=CueLimits)
    callback: Callback | None = None


def parse_listen(raw_query: bytes, max_channels: int) -> ListenRequest:
    """Read the query string. Raises ``InvalidParameter``, ``InvalidRequest`` or ``UnsupportedModel``."""
    query = Query.parse(raw_query)
    detect, among = _detection(query)
    language = query.text("language") or "en"
    code_switching = language.lower() == MULTI
    options = TranscribeOptions(
        model=query.text("model"),
        language="en" if code_switching else whisper_language(language),
        detect_language=detect,
        detect_among=among,
        code_switching=code_switching,
        language_hints=language_hints(query),
        translate=query.flag("translate"),
        prompt=prompt_text(query),
        keyterms=key_terms(query),
        decoding=decoding_choices(query),
        multichannel=query.flag("multichannel"),
        diarize=wants_speakers(query, DIARIZE_MODELS),
        audio_format=audio_format(query, max_channels),
        part=_part(query),
        text=text_options(query),
        intelligence=intelligence_options(query, _text_language(query)),
    )
    return ListenRequest(
        options=options,
        tags=tag_values(query),
        extra=extra_pairs(query),
        response_format=query.choice("response_format", RESPONSE_FORMATS, "json"),
        captions=_cue_limits(query),
        callback=parse_callback(query, REQUESTS),
    )


def _cue_limits(query: Query) -> CueLimits:
    usual = CueLimits()
    duration_s = query.number("caption_duration", MIN_CAPTION_S, MAX_CAPTION_S)
    return CueLimits(
        line_length=query.integer("caption_line_length", MIN_CAPTION_COLUMNS, MAX_CAPTION_COLUMNS) or usual.line_length,
        lines=query.integer("caption_lines", 1, MAX_CAPTION_LINES) or usual.lines,
        duration_s=usual.duration_s if duration_s is None else duration_s,
    )


def _detection(query: Query) -> tuple[bool, tuple[str, ...]]:
    values = [value.strip() for value in query.texts("detect_language")]
    codes = [value for value in values if value.lower() not in {"true", "false", "1", "0", "yes", "no", ""}]
    if not codes:
        return query.flag("detect_language"), ()
    return True, tuple(dict.fromkeys(whisper_language(code) for code in codes))


def _text_language(query: Query) -> str | None:
    """Whisper's code of the language that the text will be in; None where it is to be detected."""
    if query.flag("translate"):
        return "en"
    language = query.text("language") or "en"
    return None if language.lower() == MULTI or _detection(query)[0] else whisper_language(language)


def language_hints(query: Query) -> tuple[str, ...]:
    """Whisper's codes that ``language=multi`` is to choose from; they mean nothing beside another language."""
    hints = tuple(dict.fromkeys(whisper_language(hint) for hint in query.texts("language_hint") if hint.strip()))
    return hints if (query.text("language") or "").lower() == MULTI else ()


def decoding_choices(query: Query) -> DecodingChoices:
    """What the request chooses about the decoder."""
    return DecodingChoices(
        temperature=query.number("temperature", 0.0, 1.0),
        beam_size=query.integer("beam_size", 1, MAX_DECODERS),
        best_of=query.integer("best_of", 1, MAX_DECODERS),
    )


def _part(query: Query) -> TimeRange:
    """The part of the recording that is wanted."""
    start_s = query.number("start", 0.0, MAX_SECONDS)
    duration_s = query.number("duration", 0.0, MAX_SECONDS)
    if duration_s == 0:
        raise InvalidParameter("duration: expected more than 0 seconds", parameter="duration")
    return TimeRange(start_s or 0.0, duration_s)


def audio_format(query: Query, max_channels: int) -> AudioFormat | None:
    """The declared coding of headerless audio, or None."""
    encoding = query.text("encoding")
    rate = query.integer("sample_rate", MIN_SAMPLE_RATE, MAX_SAMPLE_RATE)
    channels = query.integer("channels", 1, max_channels) or 1
    if encoding is None:
        return None
    encoding = query.choice("encoding", HEADERLESS_ENCODINGS, encoding)
    return AudioFormat(encoding, rate or _DEFAULT_RATES.get(encoding, 0), channels)


def prompt_text(query: Query) -> str:
    """Text to condition the model on. Whisper reads its last 224 tokens; splitting more into tokens would only cost time."""
    prompt = query.text("prompt") or ""
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise InvalidParameter(f"prompt: at most {MAX_PROMPT_CHARACTERS} characters are accepted", parameter="prompt")
    return prompt


def text_options(query: Query) -> TextOptions:
    """How words are to be shown."""
    smart_format = query.flag("smart_format")
    paragraphs = query.flag("paragraphs") or smart_format
    split_s = query.number("utt_split", 0.0, 3600.0)
    return TextOptions(
        punctuate=query.flag("punctuate") or paragraphs or query.flag("detect_entities"),
        filler_words=query.flag("filler_words"),
        paragraphs=paragraphs,
        utterances=query.flag("utterances"),
        utterance_split_s=DEFAULT_UTTERANCE_SPLIT_S if split_s is None else split_s,
        smart_format=smart_format,
        numerals=query.flag("numerals"),
        measurements=query.flag("measurements"),
        dictation=query.flag("dictation"),
        profanity_filter=query.flag("profanity_filter"),
        redact=redactions(query),
        replace=replacements(query),
        search=search_phrases(query),
        detect_entities=query.flag("detect_entities"),
    )


def wants_speakers(query: Query, models: tuple[str, ...]) -> bool:
    """Whether voices are to be told apart. Deepgram's versions all mean the diarizer that this server has."""
    if "diarize_model" in query and query.flag("diarize"):
        raise InvalidRequest("diarize and diarize_model cannot be used together.")
    if query.text("diarize_model") is None:
        return query.flag("diarize")
    return query.choice("diarize_model", models, models[0]) in models


def tag_values(query: Query) -> tuple[str, ...]:
    """Labels that responses and usage repeat."""
    tags = query.texts("tag")
    if any(len(tag) > MAX_TAG_CHARACTERS for tag in tags):
        raise InvalidParameter(f"tag: at most {MAX_TAG_CHARACTERS} characters are accepted", parameter="tag")
    return tags


def extra_pairs(query: Query) -> tuple[tuple[str, str], ...]:
    """Key and value of what responses repeat; of the same key the last counts."""
    pairs: dict[str, str] = {}
    for item in query.texts("extra"):
        if len(item) > MAX_EXTRA_CHARACTERS:
            raise InvalidParameter(f"extra: at most {MAX_EXTRA_CHARACTERS} characters are accepted", parameter="extra")
        key, colon, value = item.partition(":")
        if not colon or not key:
            raise InvalidParameter("extra: expected `key:value`", parameter="extra")
        pairs[key] = value
    return tuple(pairs.items())
