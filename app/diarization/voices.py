"""From blocks of speech to speakers: where the voice changes inside a run, and how the features are scaled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.diarization.features import DIMENSIONS
from app.diarization.tracks import Track
from app.domain.clustering import Voices, paired_distances

Floats = NDArray[np.float64]

USUAL_DEVIATIONS = (
    20, 16, 19, 15, 11, 11, 9, 7.5, 7, 6.5, 5.5, 5, 4.5, 4, 3.5, 3.2, 2.8, 2.7, 0.22,
)  # fmt: skip
"""Standard deviation of each feature while one person speaks, before that person has been heard for long: the mean over
synthetic and recorded voices. Decibels for the coefficients; the pitch varies by 22 %."""

USUAL_FRAMES = 60
"""Frames that this expectation outweighs, about four seconds of speech."""

CHANGE = 60.0
"""Distance between the speech before and after a moment that makes it a change of speaker. Higher than for two stretches
that are compared once: here every moment of a run is tried. At 45 most conversations got a speaker too many."""

_SIDE_BLOCKS = 12
"""Blocks looked at on each side of that moment, 1.5 s; more would reach over somebody's short turn."""

_LEAST_SIDE_BLOCKS = 4
_LEAST_SIDE_FRAMES = 8
"""Half a second at least, and some of it voiced."""


class Scale:
    """Makes the frames of one speaker vary by 1 in every direction. Learns from each track what that takes."""

    def __init__(self) -> None:
        self._scatter = np.diag(np.square(USUAL_DEVIATIONS)) * USUAL_FRAMES
        self._freedom = float(USUAL_FRAMES)

    def learn(self, track: Track) -> None:
        self._scatter = self._scatter + track.scatter
        self._freedom += track.freedom

    def scaled(self, sums: Floats) -> Floats:
        """Sums of features, shape ``(k, 19)``, in units of that variation."""
        lower = np.linalg.cholesky(self._scatter / self._freedom)
        scaled: Floats = np.linalg.solve(lower, sums.T).T
        return scaled


@dataclass(frozen=True, slots=True)
class Stretch:
    """Blocks ``begin`` up to ``end`` of a track: speech of one voice without a pause."""

    begin: int
    end: int


def track_sums(track: Track) -> Floats:
    """The features' sums of all blocks, shape ``(blocks, 19)``."""
    return np.array(track.sums).reshape(-1, DIMENSIONS)


def stretches(track: Track, blocks: Voices) -> list[Stretch]:
    """Each run of the track, divided where the voice changes. ``blocks`` are the track's, scaled."""
    counts = np.concatenate([[0.0], np.cumsum(blocks.counts)])
    sums = np.concatenate([np.zeros((1, blocks.sums.shape[1])), np.cumsum(blocks.sums, axis=0)])
    found: list[Stretch] = []
    waiting = [Stretch(begin, end) for begin, end in reversed(track.runs)]
    while waiting:
        stretch = waiting.pop()
        change = _change(stretch, counts, sums)
        if change is None:
            found.append(stretch)
        else:
            waiting += [Stretch(change, stretch.end), Stretch(stretch.begin, change)]
    return found


def _change(stretch: Stretch, counts: Floats, sums: Floats) -> int | None:
    """The block before which another voice begins most clearly."""
    moments = np.arange(stretch.begin + _LEAST_SIDE_BLOCKS, stretch.end - _LEAST_SIDE_BLOCKS + 1)
    if not len(moments):
        return None
    low, high = np.maximum(stretch.begin, moments - _SIDE_BLOCKS), np.minimum(stretch.end, moments + _SIDE_BLOCKS)
    before = Voices(counts[moments] - counts[low], sums[moments] - sums[low])
    after = Voices(counts[high] - counts[moments], sums[high] - sums[moments])
    distances = paired_distances(before, after)
    distances[np.minimum(before.counts, after.counts) < _LEAST_SIDE_FRAMES] = 0
    best = int(distances.argmax())
    return int(moments[best]) if distances[best] > CHANGE else None


def stretch_voices(found: list[Stretch], blocks: Voices) -> Voices:
    """What the blocks of each stretch add up to."""
    labels = np.full(len(blocks), -1, np.intp)
    for label, stretch in enumerate(found):
        labels[stretch.begin : stretch.end] = label
    return blocks.grouped(labels, len(found))


def confidences(distances: Floats, speakers: NDArray[np.intp], unlike: float) -> Floats:
    """How sure it is that each voice is its speaker's, 0..1: ``distances`` to all speakers, shape ``(k, speakers)``.

    ``unlike`` is the distance at which it would as well be somebody else's who is not among them.
    """
    evidence = np.exp(-np.minimum(distances, 1e4) / _PATIENCE)
    return np.asarray(evidence[np.arange(len(speakers)), speakers] / (evidence.sum(axis=1) + np.exp(-unlike / _PATIENCE)))


_PATIENCE = 20.0
"""Distance that makes a speaker e times less likely. 2 would be right if nothing but chance were at work."""
