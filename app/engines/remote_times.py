"""When the words of another server's answer were said: its own times where it tells some, else spread over the sound. Pure.

Servers tell the times of bare words ("world") beside a text with marks ("world."), miss words, or tell none. The text is
what is shown; times are matched to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

import numpy as np

from app.domain.audio import SAMPLE_RATE, Pcm16k
from app.domain.transcript import Word
from app.engines.word_times import Measured, place_words

FRAME_SAMPLES = SAMPLE_RATE // 50
LOUD_SHARE = 0.1
"""A frame of 20 ms is voiced from this share of the loud ones' level on, 20 dB below: pauses in clean speech lie at 40."""

LOUD_PERCENTILE = 90

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word as the server tells it, times in seconds. ``probability`` None: it says nothing of that."""

    text: str
    start_s: float
    end_s: float
    probability: float | None = None


def voiced_intervals(pcm: Pcm16k) -> list[Interval]:
    """Where ``pcm`` is loud enough to hold words, in seconds; all of it where nothing stands out."""
    frames = pcm[: pcm.size // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    if not len(frames):
        return [(0.0, pcm.size / SAMPLE_RATE)]
    levels = np.sqrt(np.mean(np.square(frames), axis=1))
    loud = np.flatnonzero(np.diff(np.r_[False, levels > LOUD_SHARE * np.percentile(levels, LOUD_PERCENTILE), False]))
    step_s = FRAME_SAMPLES / SAMPLE_RATE
    found = [(float(first) * step_s, float(last) * step_s) for first, last in loud.reshape(-1, 2)]
    return found or [(0.0, pcm.size / SAMPLE_RATE)]


def within(intervals: Sequence[Interval], start_s: float, end_s: float) -> list[Interval]:
    """The parts inside ``start_s``..``end_s``; that span itself where nothing of them is."""
    parts = [(max(first_s, start_s), min(last_s, end_s)) for first_s, last_s in intervals]
    return [part for part in parts if part[0] < part[1]] or [(start_s, end_s)]


def spread(words: Sequence[Word], voiced: Sequence[Interval]) -> tuple[Word, ...]:
    """``words`` one after the other over the voiced time, each as long as its characters are a share of all."""
    total_s = sum(last_s - first_s for first_s, last_s in voiced)
    characters = sum(len(word.text) for word in words)
    placed = []
    done = 0
    for word in words:
        start_s = _clock(voiced, total_s * done / characters, at_end=False)
        done += len(word.text)
        placed.append(replace(word, start_s=start_s, end_s=_clock(voiced, total_s * done / characters, at_end=True)))
    return tuple(placed)


def _clock(voiced: Sequence[Interval], spoken_s: float, *, at_end: bool) -> float:
    """When ``spoken_s`` seconds of voice have passed: before the pause that follows, or behind it."""
    left_s = spoken_s
    for first_s, last_s in voiced:
        length_s = last_s - first_s
        if left_s < length_s - 1e-9 or (at_end and left_s <= length_s + 1e-9):
            return first_s + max(0.0, left_s)
        left_s -= length_s
    return voiced[-1][1]


def match(words: Sequence[Word], timed: Sequence[TimedWord]) -> list[TimedWord | None]:
    """For each of ``words`` the one that the server timed, by its letters; None where there is none."""
    found: list[TimedWord | None] = [None] * len(words)
    ours, theirs = [_letters(word.text) for word in words], [_letters(word.text) for word in timed]
    for block in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
        for offset in range(block.size):
            found[block.a + offset] = timed[block.b + offset]
    return found


def place(words: Sequence[Word], timed: Sequence[TimedWord | None], start_s: float, end_s: float) -> tuple[Word, ...]:
    """``words`` at their times, in order, inside ``start_s``..``end_s``; those without share the gaps they stand in."""
    if all(item is not None for item in timed):
        floor_s = start_s
        placed = []
        for word, item in zip(words, timed, strict=True):
            assert item is not None  # noqa: S101 - just asked
            first_s = min(max(item.start_s, floor_s), end_s)
            floor_s = min(max(item.end_s, first_s), end_s)
            placed.append(replace(word, start_s=first_s, end_s=floor_s))
    else:
        measured = [
            Measured(len(word.text), None if item is None else (item.start_s, item.end_s))
            for word, item in zip(words, timed, strict=True)
        ]
        spans = place_words(measured, start_s, end_s)
        placed = [replace(word, start_s=span.start_s, end_s=span.end_s) for word, span in zip(words, spans, strict=True)]
    return tuple(placed)


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum()) or text
