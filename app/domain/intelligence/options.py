"""What a caller may want to know about a recording beyond its words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Feature(str, Enum):
    """One kind of analysis. The values are what logs call it."""

    SUMMARY = "summary"
    """One summary of everything that was said."""
    PART_SUMMARIES = "part summaries"
    """Summaries of the parts of each channel."""
    TOPICS = "topics"
    CHANNEL_TOPICS = "channel topics"
    """The same topics, shown at each channel."""
    INTENTS = "intents"
    SENTIMENT = "sentiment"


@dataclass(frozen=True, slots=True)
class Asked:
    """A feature, and the request's own name for it, which warnings repeat."""

    feature: Feature
    parameter: str


@dataclass(frozen=True, slots=True)
class LabelChoice:
    """Labels that the caller looks for. ``strict``: only these; otherwise beside those that the model finds itself."""

    custom: tuple[str, ...] = ()
    strict: bool = False


@dataclass(frozen=True, slots=True)
class IntelligenceOptions:
    """What is to be found out; nothing unless asked for."""

    asked: tuple[Asked, ...] = ()
    topics: LabelChoice = field(default_factory=LabelChoice)
    intents: LabelChoice = field(default_factory=LabelChoice)

    def wants(self, *features: Feature) -> bool:
        """Whether any of ``features`` was asked for."""
        return any(item.feature in features for item in self.asked)
