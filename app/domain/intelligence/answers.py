"""What of a model's answer is believed. All is checked: models count wrongly, invent labels and wrap JSON in prose."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from app.domain.intelligence.findings import Label, LabelledPassage, Mood, RatedPassage
from app.domain.intelligence.options import LabelChoice
from app.domain.intelligence.sentences import Piece, joined
from app.domain.transcript import Channel

MAX_SUMMARY_CHARACTERS = 4000
MAX_LABEL_CHARACTERS = 100
MAX_LABELS = 10
"""Labels of one passage that are kept, the surest."""

_MAX_TRIES = 50
"""Braces in an answer at which an object is looked for."""

_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's classes of control characters, halves of characters and separators."""

_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
"""How reasoning models show that they reason."""


class UnusableAnswer(Exception):
    """The model answered, but not what it was asked."""


def read_summary(answer: str) -> str:
    """The text of a summary, white space and control characters made single spaces."""
    summary = _one_line(_object_in(answer).get("summary"))
    if not summary or len(summary) > MAX_SUMMARY_CHARACTERS:
        raise UnusableAnswer
    return summary


def read_labels(answer: str, piece: Piece, channel: Channel, choice: LabelChoice) -> list[LabelledPassage]:
    """Labelled passages of ``piece``, in order. What lies outside of it, or has no label left, is dropped."""
    segments = _object_in(answer).get("segments")
    if not isinstance(segments, list):
        raise UnusableAnswer
    found: dict[tuple[int, int], list[Label]] = {}
    for segment in segments:
        bounds = _bounds(segment, len(piece))
        if bounds is not None:
            found.setdefault(bounds, []).extend(_labels(segment.get("labels"), choice))
    return [
        LabelledPassage(joined(piece[first : last + 1], channel), labels)
        for (first, last), all_labels in sorted(found.items())
        if (labels := _surest(all_labels))
    ]


def read_ratings(answer: str, piece: Piece, channel: Channel) -> list[RatedPassage]:
    """All of ``piece``, rated: neighbours of one speaker and the same mood are one passage. What is missing is neutral.

    ``UnusableAnswer``: not even half of the sentences were rated.
    """
    sentences = _object_in(answer).get("sentences")
    scores: dict[int, float] = {}
    for entry in sentences if isinstance(sentences, list) else ():
        if isinstance(entry, dict):
            index, score = _whole(entry.get("id")), _score(entry)
            if index is not None and score is not None and 0 <= index < len(piece):
                scores.setdefault(index, score)
    if len(scores) * 2 < len(piece):
        raise UnusableAnswer
    rated = [(sentence, scores.get(index, 0.0)) for index, sentence in enumerate(piece)]
    passages = []
    for _, group in groupby(rated, key=lambda item: (Mood.of(item[1]), item[0].speaker)):
        members = list(group)
        weights = [sentence.passage.end - sentence.passage.start for sentence, _ in members]
        mean = sum(score * weight for (_, score), weight in zip(members, weights, strict=True)) / sum(weights)
        lowest, highest = min(score for _, score in members), max(score for _, score in members)
        mean = min(highest, max(lowest, mean))  # rounding may carry it across the border of the mood
        passages.append(RatedPassage(joined([sentence for sentence, _ in members], channel), mean))
    return passages


def _object_in(answer: str) -> dict[str, Any]:
    """The first JSON object in ``answer``, whatever stands around it."""
    text = _THOUGHT.sub("", answer)
    decoder = json.JSONDecoder(strict=False)
    start = text.find("{")
    for _ in range(_MAX_TRIES):
        if start < 0:
            break
        try:
            value, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        if isinstance(value, dict):
            return value
    raise UnusableAnswer


def _bounds(segment: Any, count: int) -> tuple[int, int] | None:
    """The first and last sentence of a segment, drawn into the piece; None where it has none inside."""
    if not isinstance(segment, dict):
        return None
    first, last = _whole(segment.get("first")), _whole(segment.get("last"))
    if first is None or last is None or first > last or first >= count or last < 0:
        return None
    return max(first, 0), min(last, count - 1)


def _labels(labels: Any, choice: LabelChoice) -> Iterable[Label]:
    wanted = {" ".join(custom.split()).casefold(): custom for custom in choice.custom}
    for entry in labels if isinstance(labels, list) else ():
        if not isinstance(entry, dict):
            continue
        text, confidence = _one_line(entry.get("label")), _finite(entry.get("confidence"))
        known = wanted.get(text.casefold())
        if confidence is None or (known is None and (choice.strict and choice.custom)):
            continue
        if known is not None or (0 < len(text) <= MAX_LABEL_CHARACTERS and any(map(str.isalnum, text))):
            yield Label(text if known is None else known, min(1.0, max(0.0, confidence)))


def _surest(labels: Iterable[Label]) -> tuple[Label, ...]:
    kept: dict[str, Label] = {}
    for label in sorted(labels, key=lambda label: -label.confidence):
        kept.setdefault(label.text.casefold(), label)
    return tuple(kept.values())[:MAX_LABELS]


def _score(entry: dict[str, Any]) -> float | None:
    """The score, between -1 and 1. Where its sign denies the word beside it, the word is believed.

    Many models give how sure they are (``negative``, 0.9) where they were asked how negative it is.
    """
    score = _finite(entry.get("score"))
    if score is None:
        return None
    score = min(1.0, max(-1.0, score))
    mood = entry.get("sentiment")
    if mood == Mood.NEGATIVE.value:
        return -abs(score)
    if mood == Mood.POSITIVE.value:
        return abs(score)
    if mood == Mood.NEUTRAL.value and Mood.of(score) is not Mood.NEUTRAL:
        return 0.0
    return score


def _whole(value: Any) -> int | None:
    number = _finite(value)
    return int(number) if number is not None and number == int(number) else None


def _finite(value: Any) -> float | None:
    """A number, or a string that is one; never infinity, which JSON of Python's kind allows."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _one_line(value: Any) -> str:
    """A string without control characters or halves of characters; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return " ".join("".join(" " if unicodedata.category(c) in _CONTROLS else c for c in value).split())
