"""From who spoke when to who said which word."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.domain.transcript import Segment, Word

FLOWING_S = 0.25
"""Gap up to which a word belongs to the speech around it. In it nobody else says a single word; an answer stands apart."""


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """One voice from ``start_s`` to ``end_s``. ``speaker`` counts from 0; ``confidence`` 0..1 that it is this one."""

    start_s: float
    end_s: float
    speaker: int
    confidence: float


def in_order_of_appearance(turns: Sequence[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    """Turns by time, their speakers numbered as they first speak."""
    ordered = sorted(turns, key=lambda turn: (turn.start_s, turn.end_s))
    numbers: dict[int, int] = {}
    return tuple(replace(turn, speaker=numbers.setdefault(turn.speaker, len(numbers))) for turn in ordered)


def shifted_turns(turns: Sequence[SpeakerTurn], by_s: float) -> tuple[SpeakerTurn, ...]:
    """The same turns so many seconds later."""
    return tuple(replace(turn, start_s=turn.start_s + by_s, end_s=turn.end_s + by_s) for turn in turns)


def words_with_speakers(words: Sequence[Word], turns: Sequence[SpeakerTurn]) -> tuple[Word, ...]:
    """Give each word the speaker it overlaps most, else the nearest; single words inside another's speech go to that one.

    ``turns`` in order of their starts; they may overlap. Without turns nobody is told apart, and words stay as they are.
    """
    if not turns:
        return tuple(words)
    finder = _Finder(turns)
    return tuple(_smoothed([finder.named(word) for word in words]))


def segments_with_speakers(segments: Sequence[Segment], turns: Sequence[SpeakerTurn]) -> tuple[Segment, ...]:
    """``words_with_speakers`` for all words of a channel, in the segments they came in."""
    named = iter(words_with_speakers([word for segment in segments for word in segment.words], turns))
    return tuple(replace(segment, words=tuple(next(named) for _ in segment.words)) for segment in segments)


class _Finder:
    def __init__(self, turns: Sequence[SpeakerTurn]) -> None:
        self._turns = turns
        self._starts = [turn.start_s for turn in turns]
        self._longest_s = max(turn.end_s - turn.start_s for turn in turns)

    def named(self, word: Word) -> Word:
        # Turns that start before the word ends, back to those that cannot reach it; one more on each side for gaps.
        last = bisect_left(self._starts, word.end_s)
        first = bisect_left(self._starts, word.start_s - self._longest_s)
        near = self._turns[max(0, first - 1) : last + 1]
        shares: dict[int, float] = {}
        for turn in near:
            overlap = min(word.end_s, turn.end_s) - max(word.start_s, turn.start_s)
            if overlap > 0:
                shares[turn.speaker] = shares.get(turn.speaker, 0.0) + overlap
        if not shares:
            nearest = min(near, key=lambda turn: max(turn.start_s - word.end_s, word.start_s - turn.end_s))
            return replace(word, speaker=nearest.speaker, speaker_confidence=nearest.confidence)
        speaker = max(shares, key=lambda label: (shares[label], -label))
        share = shares[speaker] / sum(shares.values())
        own = [turn.confidence for turn in near if turn.speaker == speaker and _overlap(word, turn) > 0]
        return replace(word, speaker=speaker, speaker_confidence=max(own) * share)


def _overlap(word: Word, turn: SpeakerTurn) -> float:
    return min(word.end_s, turn.end_s) - max(word.start_s, turn.start_s)


def _smoothed(words: list[Word]) -> list[Word]:
    """A single word of another speaker in the middle of somebody's flowing speech is theirs: nobody cuts in that fast."""
    result = list(words)
    for index in range(1, len(words) - 1):
        before, word, after = result[index - 1], words[index], words[index + 1]
        flips = before.speaker == after.speaker != word.speaker
        flows = word.start_s - before.end_s <= FLOWING_S and after.start_s - word.end_s <= FLOWING_S
        if flips and flows:
            confidence = 1 - (word.speaker_confidence or 0.0)
            result[index] = replace(word, speaker=before.speaker, speaker_confidence=confidence)
    return result
