"""One channel of a stream: turns voice decisions into segments, decodes and finals.

Where segments begin and end, and what their finals decode, follows from the audio and its speech probabilities alone.
"""

from __future__ import annotations

import math
from collections import deque

from app.domain.audio import Pcm16k
from app.domain.ports import JobClass
from app.domain.stream.cutting import best_cut
from app.domain.stream.endpointing import Endpointer, Voice
from app.domain.stream.events import SpeechStarted
from app.domain.stream.finals import Finals, OwedFinal
from app.domain.stream.hangover import gets_louder
from app.domain.stream.interims import Interims
from app.domain.stream.options import WINDOW_SAMPLES, SampleCounts, StreamOptions
from app.domain.stream.outbox import Outbox
from app.domain.stream.placement import Placement
from app.domain.stream.segment import Asked, Guess, Segment
from app.domain.stream.window import AudioWindow
from app.domain.transcript import Hypothesis


class ChannelMachine:
    """Fed by ``StreamMachine``: ``append`` the audio, ``step`` once per finished window, then ``rest``."""

    def __init__(self, index: int, options: StreamOptions, counts: SampleCounts, outbox: Outbox) -> None:
        self._index = index
        self._options = options
        self._counts = counts
        self._outbox = outbox
        self._ear = Endpointer(options.speech_on, options.speech_off, counts.min_speech)
        self._audio = AudioWindow()
        recent = counts.max_segment // 3 // WINDOW_SAMPLES
        self._probabilities: deque[float] = deque(maxlen=recent)
        self._voiced: deque[bool] = deque(maxlen=recent)
        self._segment = Segment(start=0)
        self._interims = Interims(index, options, counts, outbox)
        self._decoded_until = 0
        self._owes_endpoint = False
        self._audio_stopped = False
        self.finals = Finals(index, options.channels, options.effective_utterance_end_s, outbox)

    # ---- audio ----

    def append(self, pcm: Pcm16k) -> None:
        """Take audio (copied), shape ``(n,)``; the probabilities of the windows it completes follow by ``step``."""
        self._audio_stopped = self._audio_stopped and not len(pcm)
        self._audio.append(pcm)

    def step(self, probability: float) -> None:
        """Take the next window's speech probability."""
        voice = self._ear.feed(probability)
        self._probabilities.append(probability)
        self._voiced.append(voice is not Voice.QUIET)
        if voice is Voice.ONSET:
            self._begin_speech()
        if voice is Voice.QUIET or voice is Voice.MAYBE:
            self._listen_to_silence(voice)
        segment = self._segment
        if segment.speech_start is not None and self._ear.clock_samples - segment.decode_start >= self._counts.max_segment:
            self._cut()

    def rest(self) -> None:
        """All windows of a block are done: ask for an interim if one is due, and forget audio that nobody will need."""
        self.ask_interim()
        segment = self._segment
        is_silent = segment.speech_start is None
        self._audio.discard_before(self._reach_back(self._ear.quiet_until_samples) if is_silent else segment.decode_start)

    def _begin_speech(self) -> None:
        ear, segment = self._ear, self._segment
        burst_start = ear.burst_start_samples or 0
        if self._options.vad_events and (ear.gap_samples is None or ear.gap_samples >= self._counts.speech_restart):
            self._outbox.emit(SpeechStarted(self._index, self._options.channels, burst_start))
        self._owes_endpoint = True
        if segment.speech_start is None:
            segment.speech_start = burst_start
            segment.decode_start = self._reach_back(burst_start)
        elif segment.speculation is not None:
            self._interims.adopt(segment)

    def _reach_back(self, position: int) -> int:
        """Where a decode of speech at ``position`` starts: its pre-roll, but nothing that was decoded before."""
        return max(self._decoded_until, position - self._counts.preroll)

    def _listen_to_silence(self, voice: Voice) -> None:
        ear, segment, counts = self._ear, self._segment, self._counts
        silence = ear.silence_samples
        speech_end = ear.speech_end_samples or 0
        if segment.speech_start is not None:
            if silence >= counts.pause:
                self._end(speech_end + counts.pause, speech_final=counts.endpoint == counts.pause)
            elif silence >= counts.speculate and segment.settled_end != speech_end:
                self._speculate(speech_end)
        elif self._owes_endpoint and counts.endpoint is not None and silence >= counts.endpoint:
            self._end(speech_end + counts.endpoint, speech_final=True)
        elif voice is Voice.QUIET and ear.clock_samples - segment.start >= counts.silent_final:
            self._end(
                segment.start + counts.silent_final, speech_final=counts.endpoint is not None and not self._owes_endpoint
            )
        if not self.finals:
            self._interims.restate(self._segment, ear)
        if self._segment.speech_start is None and not self.finals.has_speech:
            self.finals.quiet_until(ear.quiet_until_samples)

    # ---- segments ----

    def _speculate(self, speech_end: int) -> None:
        """Ask for the final's decode, and once more if it turns out that something can be heard after the voice."""
        segment, clock = self._segment, self._ear.clock_samples
        if clock >= speech_end + self._counts.hangover:
            segment.settled_end = speech_end
        end = self._heard_to(speech_end)
        if segment.speculated_end != end <= clock:
            segment.speculated_end = end
            self._interims.drop(segment)
            segment.speculation = self._ask(segment.decode_start, end, JobClass.SPECULATION)

    def _heard_to(self, speech_end: int) -> int:
        """Where the decode of speech that ended there ends, as far as the windows so far tell."""
        counts = self._counts
        tail = self._audio.copy(speech_end, min(self._ear.clock_samples, speech_end + counts.hangover))
        is_still = not gets_louder(tail, counts.still_hangover)
        return speech_end + (counts.still_hangover if is_still else counts.hangover)

    def _ask(self, start: int, end: int, job_class: JobClass) -> Asked:
        pcm = self._audio.copy(start, end)
        return Asked(self._outbox.ask(self._index, pcm, start, job_class), start, end, self._outbox.now)

    def _end(
        self, end: int, *, speech_final: bool, from_finalize: bool = False, heard_to: int | None = None,
        overlaps_after: bool = False, job_class: JobClass = JobClass.FINAL,
    ) -> None:  # fmt: skip
        """End the open segment at ``end`` and owe its final, decoded up to ``heard_to`` (unset: speech and its hangover)."""
        segment = self._segment
        place = Placement(segment.decode_start, segment.start, end, segment.overlaps_before, overlaps_after)
        final = OwedFinal(place, segment.speech_start, speech_final, from_finalize)
        if segment.speech_start is not None:
            if heard_to is None:
                heard_to = min(end, self._heard_to(self._ear.speech_end_samples or 0))
            self._fill(final, segment, heard_to, job_class)
            self._decoded_until = heard_to
        self._interims.drop(segment)
        if speech_final:
            self._owes_endpoint = False
        self._segment = Segment(start=end)
        self.finals.add(final)
        self.finals.send(self._silent_until)

    def _fill(self, final: OwedFinal, segment: Segment, heard_to: int, job_class: JobClass) -> None:
        """Give the final its decode: the speculative one if it heard the same audio, else a new one."""
        span = (segment.decode_start, heard_to)
        guess, asked = segment.guess, segment.speculation
        if guess is not None and (guess.start, guess.end) == span:
            final.hypothesis = guess.hypothesis
        elif asked is not None and (asked.start, asked.end) == span:
            final.job_id = asked.job_id
            segment.speculation = None
            self._outbox.decide(asked.job_id, job_class)
        else:
            final.job_id = self._ask(*span, job_class).job_id

    def _cut(self) -> None:
        """End a segment that has become too long, at the best place of its last third."""
        counts, clock = self._counts, self._ear.clock_samples
        span = len(self._probabilities) * WINDOW_SAMPLES
        searched = self._audio.copy(clock - span, clock)
        voiced = list(self._voiced)
        cut = best_cut(list(self._probabilities), voiced, searched, counts.cut_pause, counts.overlap)
        at = clock - span + cut.offset_samples
        decode_start, heard_to = at - counts.overlap, at + counts.overlap
        if cut.in_pause:
            last_voiced = max((i for i in range(cut.offset_samples // WINDOW_SAMPLES) if voiced[i]), default=-1)
            heard_to = min(at, self._heard_to(clock - span + (last_voiced + 1) * WINDOW_SAMPLES))
        self._end(at, speech_final=False, heard_to=heard_to, overlaps_after=not cut.in_pause)
        if (self._ear.speech_end_samples or 0) <= at:
            return
        following = next(i for i in range(cut.offset_samples // WINDOW_SAMPLES, len(voiced)) if voiced[i])
        speech_start = max(at, clock - span + following * WINDOW_SAMPLES)
        self._segment.speech_start = speech_start
        self._segment.overlaps_before = not cut.in_pause
        self._segment.decode_start = self._reach_back(speech_start) if cut.in_pause else decode_start

    def flush(self, *, speech_final: bool, from_finalize: bool = False, even_if_empty: bool = False) -> None:
        """End the open segment at the last sample received, because the client asks, leaves, or has fallen silent."""
        end = self._audio.end_samples
        if end == self._segment.start and not even_if_empty:
            return
        self._end(end, speech_final=speech_final, from_finalize=from_finalize, job_class=JobClass.FINALIZE)
        self._ear.restart(end)

    def stop_audio(self) -> None:
        """No more audio comes, or not for now: the pause after the last word is as long as it takes."""
        self._audio_stopped = True
        self.finals.send(self._silent_until)
        if not self.finals:
            self.finals.quiet_until(self._silent_until())

    def _silent_until(self) -> float:
        """How far, in samples, the open segment has no speech."""
        if self._segment.speech_start is not None:
            return self._segment.speech_start
        return math.inf if self._audio_stopped else self._ear.quiet_until_samples

    # ---- decodes ----

    @property
    def interim_at(self) -> float | None:
        """The wall clock from which an interim may be asked for; None if none is wanted. Finals that are owed go first."""
        return None if self.finals else self._interims.wanted_at(self._segment, self._ear)

    def ask_interim(self) -> None:
        """Ask for an interim if one is due."""
        due_at = self.interim_at
        if due_at is not None and due_at <= self._outbox.now:
            asked = self._ask(self._segment.decode_start, self._audio.end_samples, JobClass.INTERIM)
            self._interims.asked(self._segment, asked)

    def decoded(self, job_id: int, hypothesis: Hypothesis | None) -> None:
        """Take a job's result; None if it failed for good."""
        segment = self._segment
        asked = segment.interim or segment.speculation
        if self.finals.decoded(job_id, hypothesis):
            self.finals.send(self._silent_until)
        elif asked is not None and asked.job_id == job_id:
            if asked is segment.interim:
                self._interims.answered(asked)
            elif hypothesis is not None:
                segment.guess = Guess(asked.start, asked.end, hypothesis)
            segment.interim = segment.speculation = None
            if hypothesis is not None and not self.finals:
                self._interims.show(segment, self._ear, asked, hypothesis, self.finals.last_word)
        self.ask_interim()

    # ---- facts ----

    @property
    def has_unsaid(self) -> bool:
        """Whether speech, or the endpoint of speech, is waiting in the open segment."""
        return self._segment.speech_start is not None or (self._owes_endpoint and self._counts.endpoint is not None)

    @property
    def retained_samples(self) -> int:
        """Room the kept audio takes, in samples."""
        return self._audio.retained_samples
