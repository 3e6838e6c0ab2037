"""The segment that is open on a channel: where it began, what was asked about it, what has been shown of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.domain.stream.agreement import Agreement
from app.domain.transcript import Hypothesis, Word


@dataclass(frozen=True, slots=True)
class Asked:
    """A decode in flight for the open segment, of the audio ``[start, end)``, asked for at the wall clock ``since``."""

    job_id: int
    start: int
    end: int
    since: float


@dataclass(frozen=True, slots=True)
class Guess:
    """A final's decode that came back before the segment ended: good for any final that decodes the same audio."""

    start: int
    end: int
    hypothesis: Hypothesis


@dataclass(slots=True)
class Segment:
    """Audio from ``start`` on that no final has covered yet. Positions in samples; at most one decode is in flight."""

    start: int
    speech_start: int | None = None
    """Where speech begins in this segment; None: silence so far."""
    decode_start: int = 0
    """First sample its decodes get: pre-roll, or the overlap of a cut. Means nothing before there is speech."""
    overlaps_before: bool = False
    """It began with a cut inside speech, around which the decode before heard the same audio."""
    interim: Asked | None = None
    speculation: Asked | None = None
    """The decode that will be the final's if the pause lasts."""
    speculated_end: int | None = None
    """End of the audio for which that was asked last."""
    settled_end: int | None = None
    """End of the speech for which nothing more can change about it."""
    guess: Guess | None = None
    agreement: Agreement = field(default_factory=Agreement)
    shown: tuple[Word, ...] = ()
    """Words of the last interim."""
    shown_language: str | None = None
    shown_until: int = field(init=False)
    """End of the audio that the last interim covered."""
    heard_until: int = field(init=False)
    """End of the audio that the last shown hypothesis has heard."""

    def __post_init__(self) -> None:
        self.shown_until = self.heard_until = self.start
