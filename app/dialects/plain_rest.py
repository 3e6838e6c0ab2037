"""What the plain endpoints answer: one flat object, times in seconds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson

from app.domain.errors import SttError
from app.domain.languages import language_name, word_space
from app.domain.transcript import Channel, LanguageGuess, Segment, Transcript, Word

Json = dict[str, Any]

TOP_LANGUAGES = 5

UNDETERMINED = ("und", "unknown")
"""Code and name where nobody speaks: ``und`` is what ISO 639-2 has for it, and what subtitle managers look for."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A segment, or what one of several speakers says in it. ``text`` has no space at its ends."""

    segment: Segment
    words: tuple[Word, ...]
    text: str
    start_s: float
    end_s: float
    speaker: str | None = None


def passages(channel: Channel) -> Iterator[Passage]:
    """The segments of a channel, divided where the speaker changes."""
    for segment in channel.segments:
        groups = [tuple(group) for _, group in groupby(segment.words, key=lambda word: word.speaker)]
        if len(groups) <= 1:
            speaker = speaker_label(segment.words[0]) if segment.words else None
            yield Passage(segment, segment.words, segment.text.strip(), segment.start_s, segment.end_s, speaker)
            continue
        for words in groups:
            text = word_space(channel.language).join(word.text for word in words)
            yield Passage(segment, words, text, words[0].start_s, words[-1].end_s, speaker_label(words[0]))


def speaker_label(word: Word) -> str | None:
    """``SPEAKER_00``, as WhisperX and pyannote call the first voice; None where voices were not told apart."""
    return None if word.speaker is None else f"SPEAKER_{word.speaker:02d}"


def full_text(channel: Channel) -> str:
    """All words of a channel."""
    return word_space(channel.language).join(word.text for word in channel.words)


def render_transcript(transcript: Transcript, *, with_words: bool) -> bytes:
    """The body of ``POST /transcribe``."""
    (channel,) = transcript.channels
    segments = [_segment(number, passage, with_words=with_words) for number, passage in enumerate(passages(channel))]
    body: Json = {
        "text": full_text(channel),
        "language": channel.language,
        "duration": seconds(transcript.duration_s),
        "segments": segments,
        "speakers": sorted({segment["speaker"] for segment in segments if segment["speaker"] is not None}),
    }
    if transcript.warnings:
        body["warnings"] = [warning.message for warning in transcript.warnings]
    return orjson.dumps(body)


def render_languages(guesses: Sequence[LanguageGuess], *, by_name: bool) -> bytes:
    """The body of ``POST /detect-language``. ``by_name``: the language in words, as whisper-asr-webservice answers."""
    code, name = UNDETERMINED
    if guesses:
        code, name = guesses[0].language, language_name(guesses[0].language).lower()
    body = {
        "detected_language": name if by_name else code,
        "language_code": code,
        "confidence": guesses[0].probability if guesses else 0.0,
        "top_languages": [
            {"language": guess.language, "confidence": guess.probability} for guess in guesses[:TOP_LANGUAGES]
        ],
    }
    return orjson.dumps(body)


def render_error(error: SttError, request_id: str) -> bytes:
    """An error as clients of FastAPI servers read it, and what to ask the operator about."""
    return orjson.dumps({"detail": error.message, "request_id": request_id})


def seconds(value_s: float) -> float:
    """Milliseconds are enough for a reader."""
    return round(value_s, 3)


def _segment(number: int, passage: Passage, *, with_words: bool) -> Json:
    return {
        "id": number,
        "start": seconds(passage.start_s),
        "end": seconds(passage.end_s),
        "text": passage.text,
        "speaker": passage.speaker,
        "words": [_word(word) for word in passage.words] if with_words else [],
    }


def _word(word: Word) -> Json:
    rendered: Json = {
        "word": word.text,
        "start": seconds(word.start_s),
        "end": seconds(word.end_s),
        "probability": round(word.confidence, 4),
    }
    if word.speaker is not None:
        rendered["speaker"] = speaker_label(word)
    return rendered
