"""An hour of sound: what is kept does not grow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from app.domain.audio import SAMPLE_RATE, samples
from app.domain.stream.events import Audio, Closed, CloseStream, Decoded, DecodeJob, Metadata, StreamEvent
from app.domain.stream.machine import StreamMachine
from app.domain.stream.options import WINDOW_SAMPLES, StreamOptions
from app.domain.stream.window import CHUNK_SAMPLES
from tests.support.script import assert_tiles, finals, hypothesis, interims, talk

HOUR_S = 3600
BLOCK = 10 * WINDOW_SAMPLES
OPTIONS = StreamOptions(interim_results=True, utterance_end_s=1.0, vad_events=True)


class Hour:
    """Sends an hour with one repeating pattern of speech probabilities, answering every decode with two words."""

    def __init__(self, pattern: list[float]) -> None:
        self.machine = StreamMachine(OPTIONS, 0.0)
        self.most_retained = 0
        self.jobs: list[tuple[int, int]] = []
        self.events: list[StreamEvent] = []
        values = np.resize(np.array(pattern, np.float32), HOUR_S * SAMPLE_RATE // WINDOW_SAMPLES + 10)
        pcm = np.zeros((1, BLOCK), np.float32)
        blocks = HOUR_S * SAMPLE_RATE // BLOCK
        for index in range(blocks):
            self.machine.receive(Audio(pcm, (values[10 * index : 10 * index + 10],)), index * BLOCK / SAMPLE_RATE)
            self.settle()
        self.machine.receive(CloseStream(), HOUR_S)
        self.settle()
        self.sent_samples = blocks * BLOCK

    def settle(self) -> None:
        self.machine.cancelled()
        for job in self.take_jobs():
            self.jobs.append((job.start_samples, len(job.pcm)))
            words = talk((0.0, "two words"), length_s=1.0).words
            self.machine.receive(Decoded(job.job_id, hypothesis(words)), self.machine.received_samples / SAMPLE_RATE)
        self.most_retained = max(self.most_retained, self.machine.retained_samples)
        self.events += self.machine.events()

    def take_jobs(self) -> Iterator[DecodeJob]:
        while jobs := self.machine.jobs():
            yield from jobs


def test_an_hour_of_silence_costs_no_decode_and_no_memory() -> None:
    hour = Hour([0.02, 0.1, 0.3, 0.05, 0.9, 0.1])  # with a click every fifth of a second
    assert hour.jobs == []
    assert hour.most_retained <= 2 * CHUNK_SAMPLES
    assert not any(r.words for r in finals(hour.events) + interims(hour.events))
    assert_tiles(finals(hour.events), hour.sent_samples)
    assert len(finals(hour.events)) == HOUR_S / 4
    assert hour.events[-2:] == [Metadata(hour.sent_samples, 1), Closed(1000, "")]


def test_an_hour_of_speech_without_a_pause_keeps_one_segment_at_most() -> None:
    hour = Hour([0.9])
    assert hour.most_retained <= samples(15.0) + 2 * CHUNK_SAMPLES
    assert max(length for _, length in hour.jobs) <= samples(15.0)
    assert_tiles(finals(hour.events), hour.sent_samples)


def test_an_hour_of_talk_with_pauses_keeps_one_segment_at_most() -> None:
    hour = Hour([0.9] * 60 + [0.1] * 50)
    assert hour.most_retained <= 10 * CHUNK_SAMPLES
    assert_tiles(finals(hour.events), hour.sent_samples)
    spoken = [f for f in finals(hour.events) if f.words]
    assert len(spoken) == len(range(0, hour.sent_samples - WINDOW_SAMPLES, 110 * WINDOW_SAMPLES))
    assert all(f.speech_final for f in spoken)
