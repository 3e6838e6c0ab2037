"""The finals a channel owes: sent in the order of the audio, each as soon as its decode is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from app.domain.audio import SAMPLE_RATE
from app.domain.stream.events import Results, SegmentLost, UtteranceEnd
from app.domain.stream.outbox import Outbox
from app.domain.stream.placement import Placement, clamped, own_words
from app.domain.stream.utterance import UtteranceGaps
from app.domain.transcript import Hypothesis, Word


@dataclass(slots=True)
class OwedFinal:
    """A segment that has ended. ``job_id`` None: nothing to decode or decoded already. ``speech_start`` None: no speech."""

    place: Placement
    speech_start: int | None
    speech_final: bool
    from_finalize: bool = False
    job_id: int | None = None
    hypothesis: Hypothesis | None = None
    is_lost: bool = False


class Finals:
    """One channel's queue of finals, and what they have said so far."""

    def __init__(self, channel_index: int, channels: int, gap_s: float | None, outbox: Outbox) -> None:
        self._channel = (channel_index, channels)
        self._outbox = outbox
        self._owed: deque[OwedFinal] = deque()
        self._gaps = UtteranceGaps(gap_s)
        self.last_word: Word | None = None
        """The last word sent, at the times its decode gave it."""
        self.last_end = 0
        """End of the last final sent, in samples."""

    def __bool__(self) -> bool:
        """Whether any final is owed."""
        return bool(self._owed)

    def add(self, final: OwedFinal) -> None:
        self._owed.append(final)

    def decoded(self, job_id: int, hypothesis: Hypothesis | None) -> bool:
        """Take a result (None: it failed for good). False if no owed final waits for this job."""
        for final in self._owed:
            if final.job_id == job_id:
                final.job_id = None
                final.hypothesis = hypothesis
                final.is_lost = hypothesis is None
                return True
        return False

    def send(self, open_until: Callable[[], float]) -> None:
        """Send every final whose turn has come. ``open_until`` says, in samples, how long the open segment has no speech."""
        while self._owed and self._owed[0].job_id is None:
            self._send_one(self._owed.popleft())
            self.quiet_until(self._next_speech(open_until))

    def quiet_until(self, position_samples: float) -> None:
        """Report the end of the utterance if no word follows before this position."""
        ended_s = self._gaps.quiet_until(position_samples / SAMPLE_RATE)
        if ended_s is not None:
            self._outbox.emit(UtteranceEnd(*self._channel, ended_s))

    @property
    def has_speech(self) -> bool:
        """Whether a final with speech in it is owed."""
        return any(final.speech_start is not None for final in self._owed)

    @property
    def owed_samples(self) -> int:
        """Audio covered by owed finals."""
        return self._owed[-1].place.end - self._owed[0].place.start if self._owed else 0

    def _next_speech(self, open_until: Callable[[], float]) -> float:
        for final in self._owed:
            if final.speech_start is not None:
                return final.speech_start
        return open_until()

    def _send_one(self, final: OwedFinal) -> None:
        place = final.place
        words: tuple[Word, ...] = ()
        if final.hypothesis is not None:
            heard = own_words(final.hypothesis, place, self.last_word)
            if heard:
                self.last_word = heard[-1]
            words = clamped(heard, place.start, place.end)
        if words:
            # A pause before these words is over now at the latest, and its report belongs before them.
            self.quiet_until(max(words[0].start_s * SAMPLE_RATE, final.speech_start or 0))
        self._outbox.emit(
            Results(
                *self._channel,
                start_samples=place.start,
                duration_samples=place.end - place.start,
                words=words,
                is_final=True,
                speech_final=final.speech_final,
                from_finalize=final.from_finalize,
                language=final.hypothesis.language if final.hypothesis else None,
                is_lost=final.is_lost,
            )
        )
        self.last_end = place.end
        if final.is_lost:
            self._outbox.emit(SegmentLost(self._channel[0], place.start, place.end - place.start))
        for ended_s in self._gaps.words(words):
            self._outbox.emit(UtteranceEnd(*self._channel, ended_s))
