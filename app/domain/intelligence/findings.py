"""What was found out about a recording. Words are counted in their channel, from 0; ``end`` is the word after the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from app.domain.intelligence.options import Feature

MOOD_LIMIT = 1 / 3
"""From this score on something is positive, from its negative on negative (contract 2.6)."""


class Mood(str, Enum):
    """A sentiment score in one word."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"

    @classmethod
    def of(cls, score: float) -> Mood:
        """``score`` lies between -1 and 1."""
        if score >= MOOD_LIMIT:
            return cls.POSITIVE
        return cls.NEGATIVE if score <= -MOOD_LIMIT else cls.NEUTRAL


@dataclass(frozen=True, slots=True)
class Passage:
    """Words of one channel, and their text as it is displayed."""

    channel_index: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """A topic or an intent, and how sure the model is, 0..1."""

    text: str
    confidence: float


@dataclass(frozen=True, slots=True)
class LabelledPassage:
    """A passage, and what it is about or what its speaker is after."""

    passage: Passage
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class RatedPassage:
    """A passage and its sentiment, -1 to 1."""

    passage: Passage
    score: float


@dataclass(frozen=True, slots=True)
class SummarisedPassage:
    """A passage and its summary."""

    passage: Passage
    summary: str


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What a feature cost: the model's name, and its tokens."""

    model: str
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Findings:
    """All results of one recording. None: not asked for, or failed (``summary_failed`` tells for the summary).

    ``uses`` holds an entry for each feature that has a result.
    """

    summary: str | None = None
    summary_failed: bool = False
    part_summaries: tuple[SummarisedPassage, ...] | None = None
    topics: tuple[LabelledPassage, ...] | None = None
    intents: tuple[LabelledPassage, ...] | None = None
    sentiments: tuple[RatedPassage, ...] | None = None
    uses: tuple[tuple[Feature, ModelUse], ...] = ()

    @property
    def average_score(self) -> float:
        """The mean sentiment of all rated words; 0 without any."""
        return mean_score(self.sentiments or ())


def mean_score(rated: Sequence[RatedPassage]) -> float:
    """The mean over the words of ``rated``; 0 without any."""
    count = sum(item.passage.end - item.passage.start for item in rated)
    return sum(item.score * (item.passage.end - item.passage.start) for item in rated) / count if count else 0.0
