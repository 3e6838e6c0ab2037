"""The diarizer that is always there: spectrum and pitch of the voiced sounds, compared without any trained network.

Numbers of speakers are found, not given. It needs about a second of speech to tell a voice; docs/speakers.md has its error.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.diarization.live import BasicLiveSpeakers
from app.diarization.tracks import WINDOW_SAMPLES, Track, TrackBuilder, WindowFeed
from app.diarization.voices import Scale, confidences, stretch_voices, stretches, track_sums
from app.domain.audio import SAMPLE_RATE, Pcm16k
from app.domain.clustering import (
    FRAMES_PER_SOUND,
    SAME_VOICE,
    Voices,
    agglomerate,
    likeliest_path,
    voice_distances,
    without_strays,
)
from app.domain.ports import LiveSpeakers, SpeakerSession
from app.domain.speakers import SpeakerTurn, in_order_of_appearance
from app.domain.transcript import ModelInfo

FRAMES_PER_S = 47
"""Voiced frames in a second of speech, measured."""

_LEAST_S = 0.8
"""Speech that can found a speaker. Less is compared with the voices that the rest has."""

_STRAY_SHARE, _STRAY_LEAST_S, _STRAY_MOST_S = 0.03, 0.4, 2.0
"""A group with less than this share of the speech is no speaker, within these bounds in seconds."""

_SWITCH = 15.0
"""Log-likelihood that a change of speaker costs in flowing speech; ``_PAUSE_S`` of silence before it halves that."""

_PAUSE_S = 0.25
_REFINEMENTS = 2
_JOIN_S = 0.5
"""Silence up to which stretches of one speaker are one turn."""


class BasicDiarizer:
    """Fulfils ``ports.Diarizer``. Holds no state: sessions may run in any threads."""

    info = ModelInfo(name="basic", uuid="9f0d2f0e-6a52-5c19-9d3c-1f0c7c5b6a11", version="1", architecture="v1")

    def session(self) -> SpeakerSession:
        return _BasicSession()

    def live(self) -> LiveSpeakers:
        return BasicLiveSpeakers()


class _BasicSession:
    """Fulfils ``ports.SpeakerSession``: keeps 8 MB for an hour of speech."""

    def __init__(self) -> None:
        self._feed = WindowFeed()
        self._builder = TrackBuilder()

    def feed(self, pcm: Pcm16k, probabilities: NDArray[np.float32]) -> None:
        self._builder.feed(self._feed.feed(pcm, probabilities))

    def turns(self) -> tuple[SpeakerTurn, ...]:
        self._builder.feed(self._feed.rest())
        return speaker_turns(self._builder.close())

    def close(self) -> None:
        pass


def speaker_turns(track: Track) -> tuple[SpeakerTurn, ...]:
    """Who speaks when in a whole track."""
    if not track.starts:
        return ()
    scale = Scale()
    scale.learn(track)
    blocks = Voices(np.array(track.counts, np.float64), scale.scaled(track_sums(track)))
    speakers = _speakers(track, blocks)
    costs = _switch_costs(track)
    labels = np.zeros(len(blocks), np.intp)
    for _ in range(_REFINEMENTS):
        means = speakers.means
        # the logarithm of each block's likelihood, less what is the same for all speakers
        scores = (
            blocks.sums @ means.T - 0.5 * blocks.counts[:, np.newaxis] * np.square(means).sum(axis=1)
        ) / FRAMES_PER_SOUND
        labels = likeliest_path(scores, costs)
        refined = blocks.grouped(labels, len(speakers))
        heard = refined.counts >= _STRAY_LEAST_S * FRAMES_PER_S
        speakers = Voices(
            np.where(heard, refined.counts, speakers.counts), np.where(heard[:, np.newaxis], refined.sums, speakers.sums)
        )
    return _turns(track, blocks, labels, speakers)


def _speakers(track: Track, blocks: Voices) -> Voices:
    """The voices that there are, each from the stretches that are alike."""
    voices = stretch_voices(stretches(track, blocks), blocks)
    least = min(_LEAST_S * FRAMES_PER_S, float(voices.counts.max()))
    founding = voices[voices.counts >= least]
    labels = agglomerate(founding, SAME_VOICE)
    seconds = float(np.clip(_STRAY_SHARE * blocks.counts.sum() / FRAMES_PER_S, _STRAY_LEAST_S, _STRAY_MOST_S))
    labels = without_strays(labels, founding, seconds * FRAMES_PER_S)
    return founding.grouped(labels, int(labels.max()) + 1)


def _switch_costs(track: Track) -> NDArray[np.float64]:
    starts, ends = np.array(track.starts), np.array(track.ends)
    pauses = np.concatenate([[0.0], (starts[1:] - ends[:-1]) * (WINDOW_SAMPLES / SAMPLE_RATE)])
    return np.asarray(_SWITCH / (1 + pauses / _PAUSE_S))


def _turns(track: Track, blocks: Voices, labels: NDArray[np.intp], speakers: Voices) -> tuple[SpeakerTurn, ...]:
    window_s = WINDOW_SAMPLES / SAMPLE_RATE
    spans: list[tuple[int, int]] = []  # first and after-last block
    for block, label in enumerate(labels):
        if spans and labels[spans[-1][0]] == label and (track.starts[block] - track.ends[block - 1]) * window_s <= _JOIN_S:
            spans[-1] = (spans[-1][0], block + 1)
        else:
            spans.append((block, block + 1))
    grouping = np.repeat(np.arange(len(spans)), [end - begin for begin, end in spans])
    said = blocks.grouped(grouping, len(spans))
    who = labels[[begin for begin, _ in spans]]
    sure = confidences(voice_distances(said, speakers), who, SAME_VOICE)
    return in_order_of_appearance(
        [
            SpeakerTurn(track.starts[begin] * window_s, track.ends[end - 1] * window_s, int(label), float(confidence))
            for (begin, end), label, confidence in zip(spans, who, sure, strict=True)
        ]
    )
