"""What another server answered -> a hypothesis. Only ``text`` must be there; all else is used where it makes sense. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from app.domain.audio import Pcm16k, seconds
from app.domain.errors import BackendFailed, UnsupportedModel
from app.domain.languages import LANGUAGES, NO_SPACE_LANGUAGES, whisper_language
from app.domain.transcript import Segment, Word
from app.engines.remote_times import Interval, TimedWord, match, place, spread, voiced_intervals, within
from app.engines.tokens import Token, build_words, join_words

NO_TRANSCRIPT = "What the recognition backend answered is no transcript."

UNKNOWN_CONFIDENCE = 0.5
"""Of words that a server says no probability for, not even their segment's; the answer carries a warning then."""

_CODES = {name.lower(): code for code, name in LANGUAGES.items()} | {"castilian": "es", "mandarin": "zh", "flemish": "nl"}
_SHORTEST_S = 0.02
_LARGEST = 1e9  # beyond it, and for what is no number at all, nothing is believed


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed answer. ``language`` None: it does not say. ``model``: the name it gives itself, if any.

    ``times_words`` and ``rates_words`` mean what they mean in ``EngineCapabilities``; None where nothing was said.
    """

    segments: tuple[Segment, ...]
    language: str | None
    model: str | None = None
    times_words: bool | None = None
    rates_words: bool | None = None


def read_answer(body: bytes, pcm: Pcm16k, language: str | None, *, translated: bool = False) -> Answer:
    """Segments with words, times in seconds inside ``pcm``. ``language`` is what was asked for.

    Raises ``BackendFailed`` for what is no transcript.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise BackendFailed(NO_TRANSCRIPT) from None
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        raise BackendFailed(NO_TRANSCRIPT)
    told = _language(answer.get("language"))
    spoken = "en" if translated else language or told or "en"
    items = _segments(answer, seconds(pcm.size))
    timed = _timed_words(answer)
    voiced = cache(lambda: voiced_intervals(pcm))  # asked for only where words have no times of their own
    segments = []
    rates = True
    for item in items:
        own = [word for word in timed if item.start_s - 0.1 <= (word.start_s + word.end_s) / 2 <= item.end_s + 0.1]
        segment, rated = _segment(item, own, spoken, voiced)
        if segment is not None:
            rates = rates and rated
            segments.append(segment)
    model = answer.get("model")
    return Answer(
        tuple(segments),
        told,
        model if isinstance(model, str) else None,
        bool(timed) if segments else None,
        rates if segments else None,
    )


@dataclass(frozen=True, slots=True)
class _Item:
    """A segment as the server tells it. ``avg_logprob`` None: it does not."""

    text: str
    start_s: float
    end_s: float
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    temperature: float = 0.0
    tokens: tuple[int, ...] = ()


def _segments(answer: dict[str, Any], duration_s: float) -> list[_Item]:
    """The answer's segments in order, inside the sound; the whole text as one where it has none that can be used."""
    items: list[_Item] = []
    floor_s = 0.0
    told = answer.get("segments")
    for raw in told if isinstance(told, list) else []:
        if not isinstance(raw, dict) or not isinstance(raw.get("text"), str):
            continue
        start_s, end_s = _number(raw.get("start")), _number(raw.get("end"))
        if start_s is None or end_s is None:
            items.clear()
            break
        start_s = min(max(start_s, floor_s), duration_s)
        floor_s = min(max(end_s, start_s), duration_s)
        items.append(
            _Item(
                raw["text"].strip(),
                start_s,
                floor_s,
                _number(raw.get("avg_logprob")),
                _number(raw.get("no_speech_prob")),
                _number(raw.get("temperature")) or 0.0,
                tuple(token for token in _list(raw.get("tokens")) if isinstance(token, int)),
            )
        )
    text = answer["text"].strip()
    if not items and text:
        return [_Item(text, 0.0, duration_s)]
    return items


def _timed_words(answer: dict[str, Any]) -> list[TimedWord]:
    """Words with times: beside the segments as OpenAI has them, or inside as others do."""
    raw = _list(answer.get("words"))
    if not raw:
        raw = [word for item in _list(answer.get("segments")) if isinstance(item, dict) for word in _list(item.get("words"))]
    words = []
    for item in raw:
        if not isinstance(item, dict):
            continue
        text = item.get("word", item.get("text"))
        start_s, end_s = _number(item.get("start")), _number(item.get("end"))
        if isinstance(text, str) and text.strip() and start_s is not None and end_s is not None and end_s >= start_s:
            probability = _number(item.get("probability", item.get("score")))
            words.append(TimedWord(text.strip(), start_s, end_s, probability))
    return words


def _segment(
    item: _Item, timed: Sequence[TimedWord], language: str, voiced: Callable[[], Sequence[Interval]]
) -> tuple[Segment | None, bool]:
    """The segment, or None if no word is in it, and whether its words are rated one by one."""
    end_s = max(item.end_s, item.start_s + _SHORTEST_S)
    words = build_words(_tokens(item.text, language), language, item.start_s, end_s)
    if not words:
        return None, True
    found = match(words, timed)
    if any(found):
        words = place(words, found, item.start_s, end_s)
    else:
        words = spread(words, within(voiced(), item.start_s, item.end_s))
    likely = UNKNOWN_CONFIDENCE if item.avg_logprob is None else math.exp(min(0.0, item.avg_logprob))
    rated = tuple(_rated(word, likely, each) for word, each in zip(words, found, strict=True))
    segment = Segment(
        text=join_words(rated, language),
        start_s=rated[0].start_s,
        end_s=rated[-1].end_s,
        words=rated,
        tokens=item.tokens,
        avg_logprob=math.log(UNKNOWN_CONFIDENCE) if item.avg_logprob is None else min(0.0, item.avg_logprob),
        temperature=item.temperature,
        no_speech_prob=item.no_speech_prob,
    )
    return segment, all(each is not None and each.probability is not None for each in found)


def _rated(word: Word, likely: float, timed: TimedWord | None) -> Word:
    own = timed.probability if timed is not None else None
    return replace(word, confidence=likely if own is None else min(1.0, max(0.0, own)))


def _tokens(text: str, language: str) -> list[Token]:
    """The text as the words' builder takes it: in pieces that may become words, without times."""
    pieces = list(text) if language in NO_SPACE_LANGUAGES else [f" {piece}" for piece in text.split()]
    return [Token(0, piece.encode(), 1.0, 0.0, -1, -1) for piece in pieces]


def _language(told: Any) -> str | None:
    """Whisper's code of a name or a tag."""
    if not isinstance(told, str):
        return None
    name = told.strip().lower()
    if name in _CODES:
        return _CODES[name]
    try:
        return whisper_language(name)
    except UnsupportedModel:
        return None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST:
        return None
    return float(value)
