"""From speech probabilities to the pieces that are worth decoding: cut in silence, never above what the engine takes.

A chunk runs from a little before its first word to a little after its last. Pauses stay inside it; a long silence ends it
and is never decoded. When speech does not pause for long enough the chunk is cut at the best pause of its later part; with
``packing``, at the pauses that make the engine's work least.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.domain.audio import SAMPLE_RATE, Pcm16k, PcmBlock, samples
from app.domain.packing import Packing, plan_chunks


@dataclass(frozen=True, slots=True)
class ChunkingOptions:
    """Durations in seconds, probabilities 0..1.

    Speech begins after ``min_speech_s`` at ``on_probability`` (and not below ``off_probability`` in between) and ends after
    ``min_silence_s`` below ``off_probability``. A chunk begins ``preroll_s`` before speech and ends ``hangover_s`` after it;
    silence longer than ``max_pause_s`` ends it. ``max_chunk_s`` is Whisper's 30 s less what the engine pads. ``packing``
    says what a chunk costs the engine; None fills chunks as far as they go.

    Margins measured on the 591 words of the project's clips (2026-11): without hangover one word lost 37 ms of its end, from
    50 ms on none lost any; without preroll 15 words lost up to 56 ms of their start, from 100 ms on none.
    """

    on_probability: float = 0.5
    off_probability: float = 0.35
    preroll_s: float = 0.3
    hangover_s: float = 0.2
    min_silence_s: float = 0.1
    min_speech_s: float = 0.064
    max_pause_s: float = 2.0
    max_chunk_s: float = 28.0
    window_samples: int = 512
    packing: Packing | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for values that cannot work together."""
        if not 1.0 <= self.max_chunk_s <= 29.5:
            raise ValueError("max_chunk_s must lie between 1 and 29.5 seconds")
        if self.max_pause_s < max(self.min_silence_s, self.hangover_s):
            raise ValueError("max_pause_s must not be shorter than min_silence_s or hangover_s")
        if self.off_probability > self.on_probability:
            raise ValueError("off_probability must not be above on_probability")


PHRASES = ChunkingOptions(max_pause_s=0.4, max_chunk_s=12.0)
"""For speech that may change its language: a chunk has one language, and languages change at pauses more than elsewhere."""

FITTED = ChunkingOptions(packing=Packing())
"""For an engine whose encoder is fitted to the audio: shorter chunks, cut where its steps are well filled."""


def chunking_for(context_step_s: float) -> ChunkingOptions:
    """How to cut for an engine that is fitted in steps of so many seconds (0: for which every window costs the same).

    Chunks are packed for the large steps of flash attention also where they are small: a little more work, and fewer words
    wrong (decision 21).
    """
    return FITTED if context_step_s else ChunkingOptions()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece to decode. ``start_samples`` counts from the recording's first sample; ``pcm`` belongs to the receiver."""

    start_samples: int
    pcm: Pcm16k

    @property
    def end_samples(self) -> int:
        """The first sample after the chunk."""
        return self.start_samples + len(self.pcm)


def mix_to_mono(block: PcmBlock) -> Pcm16k:
    """The mean of all channels, shape ``(channels, n)`` -> ``(n,)``."""
    return block[0] if len(block) == 1 else np.asarray(block.mean(axis=0), np.float32)


class Chunker:
    """One channel of a recording, fed in any split: the same input gives the same chunks.

    Sound may run ahead of its probabilities, never behind; it is held until they come, and all must have come before
    ``flush``. What cannot belong to a chunk any more is forgotten: no more is kept than a chunk, a pause and one feed.
    """

    def __init__(self, options: ChunkingOptions | None = None) -> None:
        self._options = options or ChunkingOptions()
        self._window = self._options.window_samples
        self._preroll = samples(self._options.preroll_s)
        self._hangover = samples(self._options.hangover_s)
        self._max_pause = samples(self._options.max_pause_s)
        self._max_chunk = samples(self._options.max_chunk_s)
        self._sound = _Sound()
        self._probabilities: deque[float] = deque()  # of the newest windows, as many as the sound that is kept
        self._speech = _SpeechRuns(self._options)
        self._at = 0  # end of the last window seen, in samples
        self._floor = 0  # end of the last chunk: nothing before it may be used again
        self._start: int | None = None  # of the open chunk, in samples
        self._runs: list[tuple[int, int]] = []  # finished runs of speech in the open chunk, in samples

    def feed(self, pcm: Pcm16k, probabilities: NDArray[np.float32]) -> list[Chunk]:
        """Take the next samples and the next windows' probabilities; return the chunks that are complete now."""
        self._sound.append(pcm)
        chunks = [chunk for probability in probabilities.tolist() for chunk in self._step(probability)]
        self._forget()
        return chunks

    def flush(self) -> list[Chunk]:
        """The recording is over: return what is still open. The chunker is used up."""
        end = self._sound.end
        chunks = list(self._grown_to(end))
        if (run := self._speech.current) is not None:
            self._runs.append((max(run * self._window, self._floor), end))
        return [*chunks, *self._close(end)]

    def _step(self, probability: float) -> Iterator[Chunk]:
        self._probabilities.append(probability)
        self._at += self._window
        finished = self._speech.step(probability)
        if finished is not None:
            first, last = (window * self._window for window in finished)
            self._runs.append((max(first, self._floor), last))
        if self._speech.current is not None:
            yield from self._grown_to(self._at)
        elif self._runs and self._at - self._runs[-1][1] > self._max_pause:
            yield from self._close(self._at)

    def _grown_to(self, end: int) -> Iterator[Chunk]:
        """Speech goes on until ``end``: open a chunk for it, or cut the one that has become too long."""
        if self._speech.current is None:
            return
        run = max(self._speech.current * self._window, self._floor)
        if self._start is None:
            self._start = max(self._floor, run - self._preroll)
        if end - self._start > self._max_chunk:
            yield self._packed(self._start, (run, end)) or self._cut(self._start, run)

    def _plan(self, runs: list[tuple[int, int]]) -> list[int]:
        """Positions in ``runs`` at which chunks begin."""
        packing = self._options.packing
        if packing is None:
            return [0]
        timed = [(first / SAMPLE_RATE, last / SAMPLE_RATE) for first, last in runs]
        return plan_chunks(timed, packing, self._options.preroll_s + self._options.hangover_s, self._options.max_chunk_s)

    def _packed(self, start: int, open_run: tuple[int, int]) -> Chunk | None:
        """The first chunk of the cheapest plan for what there is, or None if it has no place to cut."""
        runs = [*self._runs, open_run]
        plan = self._plan(runs)
        return self._cut_between(start, runs[plan[1] - 1][1], runs[plan[1]][0]) if len(plan) > 1 else None

    def _close(self, end: int) -> Iterator[Chunk]:
        """End the open chunk after its last speech; ``end`` is how much sound there is."""
        if self._start is not None and self._runs:
            runs = list(self._runs)
            start = self._start
            for begin in self._plan(runs)[1:]:
                chunk = self._cut_between(start, runs[begin - 1][1], runs[begin][0])
                start = self._start
                yield chunk
            stop = min(runs[-1][1] + self._hangover, start + self._max_chunk, end)
            yield self._emit(start, stop)
            self._start, self._runs = None, []

    def _cut(self, start: int, open_run: int) -> Chunk:
        gap = self._best_pause(start, open_run)
        if gap is None:
            at = self._quietest(start)
            self._start, self._runs = at, []
            return self._emit(start, at)
        return self._cut_between(start, *gap)

    def _cut_between(self, start: int, before: int, after: int) -> Chunk:
        """End the chunk in the pause between these samples and begin the next one."""
        # A pause too short for both margins is shared between them.
        share = self._hangover / (self._hangover + self._preroll) if self._hangover else 0.0
        stop = min(before + min(self._hangover, int((after - before) * share)), start + self._max_chunk)
        self._start = max(stop, after - self._preroll)
        self._runs = [run for run in self._runs if run[0] >= after]
        return self._emit(start, stop)

    def _best_pause(self, start: int, open_run: int) -> tuple[int, int] | None:
        """The longest pause in the later half of the chunk, else in the later three quarters; of equals the latest."""
        begins = [*(run[0] for run in self._runs), open_run]
        pauses = [(run[1], begin) for run, begin in zip(self._runs, begins[1:], strict=True)]
        for share in (2, 4):
            late = [pause for pause in pauses if sum(pause) / 2 - start >= self._max_chunk / share]
            if late:
                return max(late, key=lambda pause: (pause[1] - pause[0], pause[0]))
        return None

    def _quietest(self, start: int) -> int:
        """Where to cut speech without a pause: in the last third, at a dip of the probability, else of the loudness."""
        oldest = self._at // self._window - len(self._probabilities)
        first = -(-(start + self._max_chunk * 2 // 3) // self._window)
        last = (start + self._max_chunk) // self._window
        zone = np.array([self._probabilities[window - oldest] for window in range(first, last)])
        if zone.min() >= self._options.on_probability:
            pcm = self._sound.between(first * self._window, last * self._window)
            power = np.square(pcm, dtype=np.float64).reshape(last - first, self._window).mean(axis=1)
            # Over three windows: a single one may fall between two beats of a voice.
            zone = np.convolve(np.pad(power, 1, mode="edge"), np.ones(3), mode="valid")
        return (first + int(zone.argmin())) * self._window + self._window // 2

    def _emit(self, start: int, end: int) -> Chunk:
        self._floor = end
        return Chunk(start, self._sound.between(start, end))

    def _forget(self) -> None:
        if self._start is not None:
            keep = self._start
        else:
            keep = max(self._floor, self._at - self._preroll - self._speech.undecided * self._window)
        self._sound.forget(keep)
        kept_windows = self._at // self._window - keep // self._window
        while len(self._probabilities) > kept_windows:
            self._probabilities.popleft()


class _SpeechRuns:
    """Probabilities to runs of speech, with two thresholds and two shortest durations. Counts in windows."""

    def __init__(self, options: ChunkingOptions) -> None:
        def windows(duration_s: float) -> int:
            return max(1, round(samples(duration_s) / options.window_samples))

        self._on, self._off = options.on_probability, options.off_probability
        self._min_speech, self._min_silence = windows(options.min_speech_s), windows(options.min_silence_s)
        self._seen = 0
        self._first: int | None = None  # of a run that may turn out too short
        self._silent_since: int | None = None
        self.current: int | None = None
        """First window of the run that goes on, once it is long enough to be speech."""

    @property
    def undecided(self) -> int:
        """Windows that a run which is still too short has lasted."""
        return 0 if self._first is None or self.current is not None else self._seen - self._first

    def step(self, probability: float) -> tuple[int, int] | None:
        """Take one window; return (first, after the last) of the run that it ends, if any."""
        window, self._seen = self._seen, self._seen + 1
        if self._first is None:
            if probability < self._on:
                return None
            self._first = window
        if probability >= self._off:
            self._silent_since = None
            if self._seen - self._first >= self._min_speech:
                self.current = self._first
            return None
        if self.current is None:
            self._first = None
            return None
        if self._silent_since is None:
            self._silent_since = window
        if self._seen - self._silent_since < self._min_silence:
            return None
        finished = (self.current, self._silent_since)
        self._first = self._silent_since = self.current = None
        return finished


class _Sound:
    """The newest part of a recording, addressed by sample positions of the whole."""

    def __init__(self) -> None:
        self._pieces: deque[Pcm16k] = deque()
        self._begin = 0
        self.end = 0

    def append(self, pcm: Pcm16k) -> None:
        if len(pcm):
            self._pieces.append(pcm)
            self.end += len(pcm)

    def forget(self, before: int) -> None:
        """Drop what lies before this position, piece by piece: at most one piece too much is kept."""
        while self._pieces and self._begin + len(self._pieces[0]) <= before:
            self._begin += len(self._pieces.popleft())

    def between(self, start: int, end: int) -> Pcm16k:
        """A copy of the samples from ``start`` to ``end``."""
        parts, at = [], self._begin
        for piece in self._pieces:
            parts.append(piece[max(0, start - at) : max(0, end - at)])
            at += len(piece)
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)
