"""Interims of one channel: when to ask for one, what to show. Nothing here may change a final."""

from __future__ import annotations

from app.domain.ports import JobClass
from app.domain.stream.endpointing import Endpointer
from app.domain.stream.events import Results
from app.domain.stream.options import WINDOW_SAMPLES, SampleCounts, StreamOptions
from app.domain.stream.outbox import Outbox
from app.domain.stream.placement import Placement, clamped, own_words
from app.domain.stream.segment import Asked, Segment
from app.domain.transcript import Hypothesis, Word


class Interims:
    """Asks on the wall clock (pacing), shows on the audio clock. Does nothing at all unless interims are asked for."""

    def __init__(self, channel_index: int, options: StreamOptions, counts: SampleCounts, outbox: Outbox) -> None:
        self._channel = (channel_index, options.channels)
        self._options = options
        self._counts = counts
        self._outbox = outbox
        self._next_at = 0.0

    # ---- asking ----

    def wanted_at(self, segment: Segment, ear: Endpointer) -> float | None:
        """The wall clock from which an interim of this segment may be asked for; None if there is nothing to ask."""
        speech_end = ear.speech_end_samples
        if (
            not self._options.interim_results
            or segment.speech_start is None
            or speech_end is None
            or speech_end <= segment.heard_until
            or segment.interim is not None
            or segment.speculation is not None
            or ear.clock_samples - segment.speech_start < self._counts.first_interim
        ):
            return None
        return self._next_at

    def asked(self, segment: Segment, asked: Asked) -> None:
        segment.interim = asked
        self._next_at = asked.since + self._options.interim_min_gap_s

    def answered(self, asked: Asked) -> None:
        """The next one waits in proportion to what this one took, queue included: so all streams slow down alike."""
        took_s = self._outbox.now - asked.since
        self._next_at = asked.since + max(self._options.interim_min_gap_s, self._options.interim_pace * took_s)

    def adopt(self, segment: Segment) -> None:
        """Speech goes on: the speculative decode is no final, but on its way, and heard nearly everything so far."""
        if self._options.interim_results and segment.speculation is not None:
            self._outbox.decide(segment.speculation.job_id, JobClass.INTERIM)
            segment.interim, segment.speculation = segment.speculation, None
        else:
            self.drop(segment)

    def drop(self, segment: Segment) -> None:
        """Nobody needs the segment's decodes any more."""
        for asked in (segment.interim, segment.speculation):
            if asked is not None:
                self._outbox.cancel(asked.job_id)
        segment.interim = segment.speculation = None

    # ---- showing ----

    def show(self, segment: Segment, ear: Endpointer, asked: Asked, hypothesis: Hypothesis, last_word: Word | None) -> None:
        """Send a hypothesis of the whole segment so far."""
        if not self._options.interim_results:
            return
        covered = asked.end
        if (ear.speech_end_samples or 0) <= asked.end:  # nothing was said since
            covered = max(covered, ear.clock_samples)
        end = max(covered, segment.shown_until)
        place = Placement(asked.start, segment.start, end, segment.overlaps_before)
        heard = segment.agreement.add(own_words(hypothesis, place, last_word))
        segment.shown = clamped(heard, segment.start, end)
        segment.shown_language = hypothesis.language
        segment.heard_until = max(segment.heard_until, asked.end)
        self._send(segment, end)

    def restate(self, segment: Segment, ear: Endpointer) -> None:
        """Silence goes on: say again what was said, or that nothing was. Clients measure silence by these."""
        if not self._options.interim_results:
            return
        due = segment.shown_until + self._counts.silent_interim
        late = ear.clock_samples - due
        if late < 0 or (segment.speech_start is not None and (ear.speech_end_samples or 0) > segment.heard_until):
            return
        self._send(segment, due if late < WINDOW_SAMPLES else ear.clock_samples)

    def _send(self, segment: Segment, end: int) -> None:
        segment.shown_until = end
        self._outbox.emit(
            Results(
                *self._channel,
                start_samples=segment.start,
                duration_samples=end - segment.start,
                words=segment.shown,
                is_final=False,
                language=segment.shown_language,
                stable_words=len(segment.agreement.committed),
            )
        )
