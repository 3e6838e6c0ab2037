"""One channel's sound as evidence about voices: what each stretch of an eighth of a second adds up to.

Nothing but these sums is kept: 8 MB for an hour of speech.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.diarization.features import DIMENSIONS, FRAME_SAMPLES, HOP_SAMPLES, voice_features
from app.domain.audio import Pcm16k

WINDOW_SAMPLES = 512
"""Samples one speech probability covers; two frames begin in them."""

SPEECH_PROBABILITY = 0.5
"""Windows below it are no evidence: they hold noise and the ends of words."""

NEEDED_SAMPLES = HOP_SAMPLES + FRAME_SAMPLES
"""Samples from a window's start to the end of its second frame."""

_AT_ONCE = 16
"""Windows whose features are computed together: alone, a window costs five times as much."""

_GAP_WINDOWS = 3
"""Silence that a run of speech bridges, 96 ms: the closure before a "t" is no pause."""

_SHORTEST_RUN = 3
_BLOCK_WINDOWS = 4
"""Windows of a block, 128 ms: the resolution of turns. Shorter ones hold too few voiced frames to say anything."""

_PIECE_WINDOWS = 32
_PIECE_FRAMES = 12
"""A second of speech, in which the speaker is the same more often than not: around its mean the frames' variance is
measured, if it has as many voiced frames as this."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """``frames`` are the features of its voiced frames, shape ``(0 to 2, 19)``; None where nobody speaks."""

    index: int
    frames: NDArray[np.float32] | None


class WindowFeed:
    """Sound and speech probabilities, in any split, to windows."""

    def __init__(self) -> None:
        self._sound: Pcm16k = np.zeros(0, np.float32)
        self._begin = 0  # window in which ``_sound`` begins
        self._probabilities: list[float] = []

    def feed(self, pcm: Pcm16k, probabilities: NDArray[np.float32]) -> list[Window]:
        """Take more of both; the windows that are ready, in batches."""
        self._sound = np.concatenate([self._sound, pcm])
        self._probabilities.extend(probabilities.tolist())
        return self.ready() if len(self._probabilities) >= _AT_ONCE else []

    def ready(self) -> list[Window]:
        """Every window that is known and whose frames have been heard to their ends."""
        heard = max(0, (len(self._sound) - NEEDED_SAMPLES) // WINDOW_SAMPLES + 1)
        return self._take(min(len(self._probabilities), heard))

    def rest(self) -> list[Window]:
        """The last windows: after the end there is silence."""
        self._sound = np.concatenate([self._sound, np.zeros(NEEDED_SAMPLES, np.float32)])
        return self.ready()

    def _take(self, count: int) -> list[Window]:
        is_speech = np.array(self._probabilities[:count]) >= SPEECH_PROBABILITY
        frames: list[NDArray[np.float32] | None] = [None] * count
        for begin, end in _spans(is_speech):
            features, voiced = voice_features(
                self._sound[begin * WINDOW_SAMPLES : (end - 1) * WINDOW_SAMPLES + NEEDED_SAMPLES]
            )
            for window in range(begin, end):
                own = slice(2 * (window - begin), 2 * (window - begin) + 2)
                frames[window] = features[own][voiced[own]]
        windows = [Window(self._begin + index, found) for index, found in enumerate(frames)]
        self._sound = self._sound[count * WINDOW_SAMPLES :].copy()
        del self._probabilities[:count]
        self._begin += count
        return windows


def _spans(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and after-last index of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]])))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


@dataclass(slots=True)
class Track:
    """Blocks of speech, each with its windows (``starts`` to ``ends``), frames and sum of features, and the runs they form.

    ``scatter`` is the frames' covariance around the means of short pieces, times ``freedom``.
    """

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    sums: list[Floats] = field(default_factory=list)
    runs: list[tuple[int, int]] = field(default_factory=list)
    scatter: Floats = field(default_factory=lambda: np.zeros((DIMENSIONS, DIMENSIONS)))
    freedom: int = 0


class TrackBuilder:
    """Windows to blocks, as they come. ``close`` once there are no more."""

    def __init__(self) -> None:
        self.track = Track()
        self._run: deque[Window] = deque()  # windows of the open run that are in no block yet
        self._run_begin = 0  # its first window
        self._run_block = 0  # its first block
        self._last_speech: int | None = None  # of the open run
        self._piece: list[NDArray[np.float32]] = []
        self._piece_windows = 0

    def feed(self, windows: Iterable[Window]) -> None:
        for window in windows:
            last = self._last_speech
            if window.frames is None:
                if last is not None and window.index - last > _GAP_WINDOWS:
                    self._end_run()
                continue
            if last is not None and window.index - last - 1 > _GAP_WINDOWS:
                self._end_run()
                last = None
            if last is None:
                self._run_begin, self._run_block = window.index, len(self.track.starts)
            self._last_speech = window.index
            self._run.append(window)
            # the newest two stay back: a remainder of one window joins the block before it
            if window.index - self._run[0].index >= _BLOCK_WINDOWS + 1:
                self._end_block(self._run[0].index + _BLOCK_WINDOWS)

    def close(self) -> Track:
        """End what is open."""
        self._end_run()
        return self.track

    def _end_run(self) -> None:
        if self._last_speech is None:
            return
        if self._last_speech + 1 - self._run_begin >= _SHORTEST_RUN:
            while self._run:
                remaining = self._last_speech + 1 - self._run[0].index
                self._end_block(self._run[0].index + (remaining if remaining <= _BLOCK_WINDOWS + 1 else _BLOCK_WINDOWS))
        self._run.clear()
        self._end_piece()
        if len(self.track.starts) > self._run_block:
            self.track.runs.append((self._run_block, len(self.track.starts)))
        self._last_speech = None

    def _end_block(self, before: int) -> None:
        """Make a block of the run's waiting windows before this one."""
        track, begin = self.track, self._run[0].index
        frames: list[NDArray[np.float32]] = []
        end = begin
        while self._run and self._run[0].index < before:
            window = self._run.popleft()
            end = window.index + 1
            if window.frames is not None:
                frames.append(window.frames)
        together = np.concatenate(frames).astype(np.float64)
        track.starts.append(begin)
        track.ends.append(end)
        track.counts.append(len(together))
        track.sums.append(together.sum(axis=0))
        self._piece += frames
        self._piece_windows += end - begin
        if self._piece_windows >= _PIECE_WINDOWS:
            self._end_piece()

    def _end_piece(self) -> None:
        if sum(map(len, self._piece)) >= _PIECE_FRAMES:
            frames = np.concatenate(self._piece).astype(np.float64)
            around = frames - frames.mean(axis=0)
            self.track.scatter += around.T @ around
            self.track.freedom += len(frames) - 1
        self._piece, self._piece_windows = [], 0
