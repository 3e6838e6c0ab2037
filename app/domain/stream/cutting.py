"""Where to cut speech that does not pause: decided by the audio and its speech probabilities alone, never by text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.domain.audio import Pcm16k
from app.domain.stream.options import WINDOW_SAMPLES


@dataclass(frozen=True, slots=True)
class Cut:
    """``offset_samples`` from the start of what was searched. ``in_pause``: no word can lie across it."""

    offset_samples: int
    in_pause: bool


def best_cut(probabilities: Sequence[float], voiced: Sequence[bool], pcm: Pcm16k, cut_pause: int, margin: int) -> Cut:
    """The middle of the longest pause of at least ``cut_pause`` samples, else of the least speech-like window.

    One entry per 512-sample window; ``pcm`` has shape ``(windows * 512,)``. A window in speech is chosen at least ``margin``
    samples before the end, where audio follows for an overlap. Of equals the later wins: longer segments, fewer seams.
    """
    start, length = _longest_pause(voiced)
    if length * WINDOW_SAMPLES >= cut_pause and length > 0:
        return Cut((2 * start + length) * WINDOW_SAMPLES // 2, in_pause=True)
    usable = max(1, len(probabilities) - -(-margin // WINDOW_SAMPLES))
    energy = np.square(np.nan_to_num(pcm[: usable * WINDOW_SAMPLES])).reshape(usable, WINDOW_SAMPLES).mean(axis=1)
    # Tenths of probability: finer differences say less about where a word ends than the loudness does.
    quietest = min(range(usable), key=lambda i: (round(probabilities[i], 1), float(energy[i]), -i))
    return Cut(quietest * WINDOW_SAMPLES + WINDOW_SAMPLES // 2, in_pause=False)


def _longest_pause(voiced: Sequence[bool]) -> tuple[int, int]:
    best_start = best_length = length = 0
    for index, is_voiced in enumerate(voiced):
        length = 0 if is_voiced else length + 1
        if length and length >= best_length:
            best_start, best_length = index + 1 - length, length
    return best_start, best_length
