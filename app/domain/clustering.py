"""Grouping stretches of speech by voice, in numpy, without knowing how many voices there are.

A voice is what its frames add up to: how many there are, and the sum of their features, scaled so that the frames of one
speaker have unit variance in every direction. So two voices join by addition, and whether they are the same is one question:
is the distance of their means more than chance explains? Chance gets smaller with every frame, but not without end: nobody
speaks the same way for an hour, which ``VOICE_DRIFT`` stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FRAMES_PER_SOUND = 5.0
"""Frames that are one observation: a speech sound lasts about 80 ms, and the frames inside it say the same thing five times.
Measured on one speaker's sentences: their means scatter 4.5 to 6 times as much as independent frames would."""

VOICE_DRIFT = 0.05
"""Squared distance, in units of the frames' variance and per direction of doubt, by which one voice may differ from itself
however long it is heard. At 0.02 half of 72 synthetic conversations got a speaker too many."""

SAME_VOICE = 50.0
"""Distance up to which two voices are one. In 19 directions the same voice gives at most 19 on average and 36 in one of a
hundred comparisons; there are many of them, and distinct voices of a conversation lie above 100."""


@dataclass(frozen=True, slots=True)
class Voices:
    """``counts`` of frames, shape ``(k,)``, and ``sums`` of their features, shape ``(k, d)``, scaled to unit variance."""

    counts: Floats
    sums: Floats

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: int | slice | NDArray[np.intp] | NDArray[np.bool_]) -> Voices:
        return Voices(np.atleast_1d(self.counts[index]), np.atleast_2d(self.sums[index]))

    @property
    def means(self) -> Floats:
        """Shape ``(k, d)``; zero where there is no frame."""
        return self.sums / np.maximum(self.counts, 1e-9)[:, np.newaxis]

    def grouped(self, labels: NDArray[np.intp], groups: int) -> Voices:
        """What the voices of each label add up to; a negative label belongs to no group."""
        counts, sums = np.zeros(groups), np.zeros((groups, self.sums.shape[1]))
        named = labels >= 0
        np.add.at(counts, labels[named], self.counts[named])
        np.add.at(sums, labels[named], self.sums[named])
        return Voices(counts, sums)


def voice_distances(one: Voices, other: Voices) -> Floats:
    """How unlikely it is that two voices are the same, each of ``one`` with each of ``other``, shape ``(k, m)``.

    0: no evidence at all. Grows with the distance of the means and with the frames behind them.
    """
    differences = one.means[:, np.newaxis] - other.means[np.newaxis]
    chance = 1 / np.maximum(one.counts, 1e-9)[:, np.newaxis] + 1 / np.maximum(other.counts, 1e-9)[np.newaxis]
    distances: Floats = np.square(differences).sum(axis=2) / (FRAMES_PER_SOUND * chance + VOICE_DRIFT)
    return distances


def paired_distances(one: Voices, other: Voices) -> Floats:
    """``voice_distances`` of the voices in the same places, shape ``(k,)``."""
    chance = 1 / np.maximum(one.counts, 1e-9) + 1 / np.maximum(other.counts, 1e-9)
    distances: Floats = np.square(one.means - other.means).sum(axis=1) / (FRAMES_PER_SOUND * chance + VOICE_DRIFT)
    return distances


def cosine_distances(one: Voices, other: Voices) -> Floats:
    """1 less the cosine between the sums, shape ``(k, m)``: for embeddings of which only the direction counts."""
    directions = [voices.sums / (np.linalg.norm(voices.sums, axis=1, keepdims=True) + 1e-12) for voices in (one, other)]
    distances: Floats = 1 - directions[0] @ directions[1].T
    return distances


Distances = Callable[[Voices, Voices], Floats]

_AT_ONCE = 200
"""Voices compared at a time. An hour has 2000 stretches of speech; all at once they would need minutes and gigabytes."""


def agglomerate(voices: Voices, stop_at: float, distances: Distances = voice_distances) -> NDArray[np.intp]:
    """Join the two nearest voices, again and again, until none are nearer than ``stop_at``; a label from 0 for each.

    More than ``_AT_ONCE`` are joined piece by piece in their order, then what is left of the pieces among each other.
    """
    labels = np.arange(len(voices))
    groups = voices
    while True:
        pieces = [groups[begin : begin + _AT_ONCE] for begin in range(0, len(groups), _AT_ONCE)]
        found: list[NDArray[np.intp]] = []
        count = 0
        for piece in pieces:
            found.append(_joined(piece, stop_at, distances) + count)
            count = int(found[-1].max()) + 1
        if not found:
            return labels
        joined = np.concatenate(found)
        labels = joined[labels]
        shrunk = count < len(groups)
        groups = groups.grouped(joined, count)
        if len(pieces) == 1:
            return labels
        if not shrunk:  # too many voices for one go and none alike: as far as this way leads
            return labels


def _joined(voices: Voices, stop_at: float, distances: Distances) -> NDArray[np.intp]:
    counts, sums = voices.counts.copy(), voices.sums.copy()
    labels = np.arange(len(counts))
    matrix = distances(voices, voices)
    np.fill_diagonal(matrix, np.inf)
    while len(counts) > 1:
        first, second = sorted(int(index) for index in np.unravel_index(int(matrix.argmin()), matrix.shape))
        if not matrix[first, second] < stop_at:
            break
        counts[first] += counts[second]
        sums[first] += sums[second]
        labels[labels == second] = first
        matrix[second], matrix[:, second] = np.inf, np.inf
        alive = np.isin(np.arange(len(counts)), labels)
        if alive.sum() == 1:
            break
        row = distances(Voices(counts[first : first + 1], sums[first : first + 1]), Voices(counts, sums))[0]
        row[~alive] = np.inf
        row[first] = np.inf
        matrix[first], matrix[:, first] = row, row
    _, compact = np.unique(labels, return_inverse=True)
    return np.asarray(compact, np.intp).reshape(-1)


def without_strays(labels: NDArray[np.intp], voices: Voices, least_frames: float) -> NDArray[np.intp]:
    """Take the label from groups with fewer frames than this (-1), and number the others anew; the largest always stays.

    A few odd sounds are nobody's voice: whoever is nearest said them.
    """
    if not len(labels):
        return labels
    totals = voices.grouped(labels, int(labels.max()) + 1).counts
    keep = totals >= min(least_frames, totals.max())
    renamed = np.where(keep, np.cumsum(keep) - 1, -1)
    return np.asarray(renamed[labels], np.intp)


def likeliest_path(scores: Floats, switch_costs: Floats) -> NDArray[np.intp]:
    """The state for each step that maximises the sum of ``scores``, shape ``(steps, states)``, less the cost of switching.

    ``switch_costs[i]`` is what another state than before costs at step ``i``; the first is not used.
    """
    steps, states = scores.shape
    if not steps:
        return np.zeros(0, np.intp)
    before = np.zeros((steps, states), np.intp)
    total = scores[0]
    stay = np.arange(states)
    for step in range(1, steps):
        best = int(total.argmax())
        switched = total[best] - switch_costs[step]
        before[step] = np.where(total >= switched, stay, best)
        total = np.maximum(total, switched) + scores[step]
    path = np.empty(steps, np.intp)
    path[-1] = total.argmax()
    for step in range(steps - 1, 0, -1):
        path[step - 1] = before[step, path[step]]
    return path
