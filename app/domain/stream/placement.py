"""A hypothesis' words on the stream's timeline: which belong to a segment, and at what times."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.audio import seconds
from app.domain.stream.agreement import same_word
from app.domain.transcript import Hypothesis, Word


@dataclass(frozen=True, slots=True)
class Placement:
    """A decode and the stretch of the stream it speaks for, in samples.

    ``overlaps_before``/``overlaps_after``: the neighbouring decode heard the audio around that edge too.
    """

    decode_start: int
    start: int
    end: int
    overlaps_before: bool = False
    overlaps_after: bool = False


SEAM_SLACK_S = 0.1
"""How far behind a seam the last word before it may reach: a decode stretches its last word over what it cannot make out."""


def own_words(hypothesis: Hypothesis, place: Placement, last_word: Word | None) -> tuple[Word, ...]:
    """The words of this stretch, at stream times, not yet clamped.

    At an edge that two decodes heard, the first of them keeps the words whose middle lies before the edge. The second is
    given the last word kept (``last_word``, unclamped) and takes what comes after it: so a word is neither lost nor said
    twice, even if the two decodes disagree about its time by less than half its length.
    """
    words = list(_shifted(hypothesis.words, seconds(place.decode_start)))
    if place.overlaps_after:
        edge_s = seconds(place.end)
        words = [word for word in words if _middle_s(word) < edge_s]
    if place.overlaps_before and last_word is not None:
        first = 0
        said_until_s = min(last_word.end_s, seconds(place.start) + SEAM_SLACK_S)
        while first < len(words) and (
            _middle_s(words[first]) <= said_until_s
            or (words[first].start_s < last_word.end_s and same_word(words[first], last_word))
        ):
            first += 1
        words = words[first:]
    return tuple(words)


def clamped(words: Iterable[Word], start: int, end: int) -> tuple[Word, ...]:
    """The words inside ``[start, end]`` samples, starts not decreasing, none ending before it starts (contract 3.11)."""
    floor_s, ceiling_s = seconds(start), seconds(end)
    placed = []
    for word in words:
        start_s = min(max(word.start_s, floor_s), ceiling_s)
        end_s = min(max(word.end_s, start_s), ceiling_s)
        placed.append(Word(word.text, start_s, end_s, word.confidence))
        floor_s = start_s
    return tuple(placed)


def _shifted(words: Iterable[Word], by_s: float) -> Iterable[Word]:
    before_s = 0.0
    for word in words:
        start_s = word.start_s if math.isfinite(word.start_s) else before_s
        end_s = word.end_s if math.isfinite(word.end_s) else start_s
        before_s = end_s
        yield Word(word.text, start_s + by_s, end_s + by_s, word.confidence)


def _middle_s(word: Word) -> float:
    return (word.start_s + word.end_s) / 2
