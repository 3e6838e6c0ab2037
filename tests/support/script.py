"""A talk written as text and times, and a player that feeds it to the stream machine.

The audio of a talk is a ramp: every sample is its own position, so a decode job that was cut wrongly is noticed. The
scripted decoder returns the words whose middle lies in the asked audio.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, repeat

import numpy as np
from numpy.typing import NDArray

from app.domain.audio import SAMPLE_RATE, samples, seconds
from app.domain.ports import JobClass
from app.domain.stream.events import (
    Audio,
    Closed,
    Decoded,
    DecodeFailed,
    DecodeJob,
    Results,
    StreamEvent,
    StreamInput,
    Tick,
    UtteranceEnd,
)
from app.domain.stream.machine import StreamMachine
from app.domain.stream.options import WINDOW_SAMPLES, StreamOptions
from app.domain.transcript import Hypothesis, Segment, Word

RAMP = 2**24
"""Positions up to here are exact in float32; the ramp starts anew there."""


def ramp(start: int, end: int) -> NDArray[np.float32]:
    """Audio whose samples are their own positions."""
    return (np.arange(start, end) % RAMP).astype(np.float32)


def hypothesis(words: Iterable[Word], language: str = "en") -> Hypothesis:
    """Words as an engine returns them."""
    said = tuple(words)
    text = " ".join(word.text for word in said)
    return Hypothesis((Segment(text, 0.0, 0.0, said, (), -0.1),), language)


@dataclass(frozen=True)
class Talk:
    """Words at their times on one channel of ``length_s`` seconds; ``noise`` are further voiced stretches, in seconds."""

    words: tuple[Word, ...]
    length_s: float
    noise: tuple[tuple[float, float], ...] = ()

    @property
    def length_samples(self) -> int:
        return samples(self.length_s)

    @property
    def text(self) -> list[str]:
        return [word.text for word in self.words]

    def probabilities(self) -> NDArray[np.float32]:
        """One per whole window: speech where a word or noise is, or a gap of at most 64 ms between words."""
        values = np.full(self.length_samples // WINDOW_SAMPLES, 0.02, dtype=np.float32)
        spans = [(word.start_s, word.end_s) for word in self.words]
        spans += [(a[1], b[0]) for a, b in pairwise(spans) if b[0] - a[1] <= 0.064]
        for start_s, end_s in (*spans, *self.noise):
            first, last = samples(start_s) // WINDOW_SAMPLES, -(-samples(end_s) // WINDOW_SAMPLES)
            values[first:last] = 0.9
        return values

    def decode(self, job: DecodeJob) -> Hypothesis:
        """The words whose middle lies in the job's audio, at times relative to it."""
        assert job.pcm.dtype == np.float32
        end = job.start_samples + len(job.pcm)
        assert np.array_equal(job.pcm, ramp(job.start_samples, end)), "the job's audio is not the stretch it claims"
        begin_s = seconds(job.start_samples)
        inside = [w for w in self.words if begin_s <= (w.start_s + w.end_s) / 2 < seconds(end)]
        return hypothesis(replace(w, start_s=w.start_s - begin_s, end_s=w.end_s - begin_s) for w in inside)


def talk(*phrases: tuple[float, str], length_s: float, word_s: float = 0.25, gap_s: float = 0.05) -> Talk:
    """Phrases by their start: words of ``word_s`` seconds, ``gap_s`` apart."""
    words = []
    for start_s, text in phrases:
        for index, word in enumerate(text.split()):
            at_s = start_s + index * (word_s + gap_s)
            words.append(Word(word, at_s, at_s + word_s, 0.9))
    assert all(a.end_s <= b.start_s for a, b in pairwise(words)), "phrases overlap"
    return Talk(tuple(words), length_s)


class Player:
    """Feeds talks (one per channel) to a machine and keeps what comes out.

    ``answers`` False: decodes wait in ``waiting`` until ``answer`` or ``fail`` is called; cancelled ones leave it.
    """

    def __init__(self, options: StreamOptions, *talks: Talk, answers: bool = True) -> None:
        assert options.channels == len(talks)
        self.machine = StreamMachine(options, now=0.0)
        self.talks = talks
        self.answers = answers
        self.now = 0.0
        self.position = 0
        self.events: list[StreamEvent] = []
        self.waiting: dict[int, DecodeJob] = {}
        self.asked: list[DecodeJob] = []
        self.cancelled: list[int] = []
        self.decided: list[tuple[int, JobClass]] = []
        self._probabilities = [talk.probabilities() for talk in talks]

    def send(self, item: StreamInput, *, at: float | None = None) -> list[StreamEvent]:
        """Give the machine one item; returns the events that came of it, answers to decodes included."""
        self.now = self.now if at is None else at
        self.machine.receive(item, self.now)
        seen = self._collect()
        while self.answers and self.waiting:
            seen += self.answer(next(iter(self.waiting)))
        return seen

    def answer(self, job_id: int) -> list[StreamEvent]:
        """Return a waiting decode."""
        job = self.waiting.pop(job_id)
        return self._give(Decoded(job_id, self.talks[job.channel_index].decode(job)))

    def fail(self, job_id: int) -> list[StreamEvent]:
        """Give up a waiting decode."""
        del self.waiting[job_id]
        return self._give(DecodeFailed(job_id))

    def _give(self, item: StreamInput) -> list[StreamEvent]:
        self.machine.receive(item, self.now)
        return self._collect()

    def _collect(self) -> list[StreamEvent]:
        for job_id in self.machine.cancelled():
            self.cancelled.append(job_id)
            self.waiting.pop(job_id)  # only a job that was given out and has not been answered may be cancelled
        for job in self.machine.jobs():
            self.asked.append(job)
            self.waiting[job.job_id] = job
        self.decided += self.machine.decided()
        seen = self.machine.events()
        self.events += seen
        return seen

    def play(
        self, until_s: float | None = None, *, blocks: Iterable[int] | None = None, speed: float = 1.0
    ) -> list[StreamEvent]:
        """Send audio up to ``until_s`` (unset: all) in blocks of these sizes (unset: 20 ms), ``speed`` times real time."""
        sizes = iter(repeat(320) if blocks is None else blocks)
        end = self.talks[0].length_samples if until_s is None else samples(until_s)
        seen: list[StreamEvent] = []
        while self.position < end:
            size = min(next(sizes, end), end - self.position)
            seen += self.send(self._block(size), at=self.now + size / SAMPLE_RATE / speed)
        return seen

    def _block(self, size: int) -> Audio:
        start, self.position = self.position, self.position + size
        windows = slice(start // WINDOW_SAMPLES, self.position // WINDOW_SAMPLES)
        pcm = np.tile(ramp(start, self.position), (len(self.talks), 1))
        return Audio(pcm, tuple(values[windows] for values in self._probabilities))

    def wait(self, until: float) -> list[StreamEvent]:
        """Let wall-clock time pass without audio: a Tick at every deadline, and nothing else."""
        seen: list[StreamEvent] = []
        for _ in range(1000):
            deadline = self.machine.deadline()
            if deadline is None or deadline > until:
                self.now = max(self.now, until)
                return seen
            seen += self.send(Tick(), at=max(self.now, deadline))
        raise AssertionError("the machine's deadline does not move")


def results(events: Iterable[StreamEvent], channel_index: int = 0) -> list[Results]:
    """The Results of one channel."""
    return [event for event in events if isinstance(event, Results) and event.channel_index == channel_index]


def finals(events: Iterable[StreamEvent], channel_index: int = 0) -> list[Results]:
    """The final Results of one channel."""
    return [result for result in results(events, channel_index) if result.is_final]


def interims(events: Iterable[StreamEvent], channel_index: int = 0) -> list[Results]:
    """The interim Results of one channel."""
    return [result for result in results(events, channel_index) if not result.is_final]


def utterance_ends(events: Iterable[StreamEvent], channel_index: int = 0) -> list[float]:
    """The word ends reported on one channel."""
    return [e.last_word_end_s for e in events if isinstance(e, UtteranceEnd) and e.channel_index == channel_index]


def said(items: Sequence[Results]) -> list[str]:
    """All words of these Results."""
    return [word.text for result in items for word in result.words]


def text(result: Results) -> str:
    """One Results' words as a line."""
    return " ".join(word.text for word in result.words)


def closing(events: Sequence[StreamEvent]) -> Closed | None:
    """How the stream was closed, if it was; nothing may follow that."""
    closed = [event for event in events if isinstance(event, Closed)]
    assert len(closed) <= 1
    assert not closed or events[-1] is closed[0]
    return closed[0] if closed else None


def assert_tiles(items: Sequence[Results], end_samples: int) -> None:
    """Finals follow one another without gap or overlap from 0 to ``end_samples``; words lie inside, in order."""
    position, last_s = 0, 0.0
    for result in items:
        assert result.start_samples == position
        assert result.duration_samples >= 0
        position = result.end_samples
        for word in result.words:
            assert result.start_s <= word.start_s <= word.end_s <= seconds(result.end_samples)
            assert word.start_s >= last_s
            last_s = word.start_s
    assert position == end_samples
