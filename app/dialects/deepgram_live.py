"""``WS /v1/listen``'s query -> what to do with the stream (contract 2.2, 3.1, 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

from app.dialects.deepgram_callback import REQUESTS_AND_SOCKETS, parse_callback
from app.dialects.deepgram_options import (
    LIVE_DIARIZE_MODELS,
    audio_format,
    decoding_choices,
    extra_pairs,
    language_hints,
    prompt_text,
    tag_values,
    text_options,
    wants_speakers,
)
from app.dialects.deepgram_query import Query
from app.dialects.deepgram_text import redactions
from app.dialects.deepgram_vocabulary import key_terms
from app.domain.errors import InvalidParameter
from app.domain.jobs import Callback
from app.domain.languages import MULTI, whisper_language
from app.domain.options import LiveOptions
from app.domain.stream.options import StreamOptions
from app.domain.text.finders.numbers import LANGUAGES
from app.domain.text.redaction_rules import unsupported

MAX_MILLISECONDS = 600_000


@dataclass(frozen=True, slots=True)
class LiveRequest:
    """One handshake: what to do, and what the messages repeat."""

    options: LiveOptions
    extra: tuple[tuple[str, str], ...] = ()
    without_effect: tuple[str, ...] = ()
    """What was asked for and can be done only in part, for the log: a stream has no place for warnings."""
    callback: Callback | None = None


def parse_live(raw_query: bytes, max_channels: int) -> LiveRequest:
    """Read the query string. Raises ``InvalidParameter``, ``InvalidRequest`` or ``UnsupportedModel``.

    Parameters that only recordings know are ignored here: a stream has no place for warnings.
    """
    query = Query.parse(raw_query)
    _check_together(query)
    tag_values(query)  # live messages have no place for them, but one that is too long is refused alike
    language = query.text("language") or "en"
    code_switching = language.lower() == MULTI
    declared = audio_format(query, max_channels)
    multichannel = query.flag("multichannel")
    options = LiveOptions(
        model=query.text("model"),
        language="en" if code_switching else whisper_language(language),
        code_switching=code_switching,
        language_hints=language_hints(query),
        translate=query.flag("translate"),
        prompt=prompt_text(query),
        keyterms=key_terms(query),
        decoding=decoding_choices(query),
        multichannel=multichannel,
        diarize=wants_speakers(query, LIVE_DIARIZE_MODELS),
        audio_format=declared,
        text=text_options(query),
        stream=StreamOptions(
            channels=declared.channels if multichannel and declared is not None else 1,
            interim_results=query.flag("interim_results"),
            endpointing_s=_endpointing(query),
            utterance_end_s=_utterance_end(query),
            vad_events=query.flag("vad_events"),
        ),
    )
    return LiveRequest(options, extra_pairs(query), _without_effect(query), parse_callback(query, REQUESTS_AND_SOCKETS))


def _check_together(query: Query) -> None:
    if (query.text("encoding") is None) != (query.text("sample_rate") is None):
        raise InvalidParameter("encoding and sample_rate must be given together", parameter="encoding")


def _endpointing(query: Query) -> float | None:
    """Seconds, or None for ``false``. ``true`` and a bare name mean the default."""
    value = (query.text("endpointing") or "true").lower()
    if value == "false":
        return None
    if value == "true":
        return StreamOptions().endpointing_s
    milliseconds = query.integer("endpointing", 0, MAX_MILLISECONDS)
    return None if milliseconds is None else milliseconds / 1000


def _utterance_end(query: Query) -> float | None:
    if (query.text("utterance_end_ms") or "false").lower() == "false":
        return None
    milliseconds = query.integer("utterance_end_ms", 0, MAX_MILLISECONDS)
    return None if milliseconds is None else milliseconds / 1000


def _without_effect(query: Query) -> tuple[str, ...]:
    rules, language = redactions(query), "en" if query.flag("translate") else (query.text("language") or "en").lower()
    if language != MULTI:
        language = whisper_language(language)
    unread = ("redact=numbers in words",) if rules and language not in LANGUAGES else ()
    return (*(f"redact={name}" for name in unsupported(rules, language)), *unread)
