"""Any rate to 16 kHz while it is spoken: a windowed sinc whose delay is a few milliseconds.

soxr, which converts recordings, works in blocks: measured on chunks of 20 ms, what it returns lags the input by up to 114 ms
at 8 kHz and up to 37 ms at 48 kHz. A final result would come that much later. Here the lag is 4 ms and 2 ms, for about 1 ms
of processor time per second of sound (2.5 ms at 44.1 kHz; soxr: 0.2 to 0.5 ms).
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from app.audio.convert import Resampler, Samples
from app.domain.audio import SAMPLE_RATE

_ZERO_CROSSINGS: Final = 32
"""Half the filter, in periods of the lower rate. Speech of the telephone (300 to 3400 Hz) passes whole."""

_CUTOFF: Final = 0.93  # of the lower rate's half: the filter falls to -6 dB here and to -80 dB at 1.0
_KAISER_BETA: Final = 8.0
_FEW_PHASES: Final = 4
_MAX_PHASES: Final = 640
"""Phases of the filter that are kept for a ratio. 44,100 Hz needs 160; odd rates would need megabytes and go to soxr."""


class StreamResampler(Protocol):
    """``feed`` returns what became available, ``flush`` the rest; both float32 of shape ``(channels, n)``."""

    def feed(self, block: Samples) -> Samples: ...

    def flush(self) -> Samples: ...


def live_resampler(from_rate: int, channels: int) -> StreamResampler:
    """A converter from ``from_rate`` hertz to 16 kHz; equal rates pass through untouched."""
    phases = SAMPLE_RATE // gcd(from_rate, SAMPLE_RATE)
    if from_rate == SAMPLE_RATE or phases > _MAX_PHASES:
        return Resampler(from_rate, channels)
    return _SincResampler(from_rate, channels)


class _SincResampler:
    """Output ``k`` lies at input position ``k * step / phases`` and is one row of ``filters`` over the samples around it."""

    def __init__(self, from_rate: int, channels: int) -> None:
        common = gcd(from_rate, SAMPLE_RATE)
        self._phases, self._step = SAMPLE_RATE // common, from_rate // common
        self._filters = _filters(self._phases, self._step)
        self._taps = self._filters.shape[1]
        self._before = self._taps // 2 - 1
        self._waiting: Samples = np.zeros((channels, self._before), np.float32)
        self._most_at_once = max(1, from_rate // 20)  # samples; larger blocks leave the cache, at three times the cost
        self._phase = 0  # position of the next output behind the first whole window of ``_waiting``, in 1 / phases

    def feed(self, block: Samples) -> Samples:
        if block.shape[1] <= self._most_at_once:
            return self._run(block)
        begins = range(0, block.shape[1], self._most_at_once)
        return np.concatenate([self._run(block[:, begin : begin + self._most_at_once]) for begin in begins], axis=1)

    def flush(self) -> Samples:
        return self._run(np.zeros((len(self._waiting), self._taps - 1 - self._before), np.float32))

    def _run(self, block: Samples) -> Samples:
        sound = np.concatenate([self._waiting, block], axis=1)
        windows = sound.shape[1] - self._taps + 1
        count = max(0, -((self._phase - windows * self._phases) // self._step))
        out = self._filtered(sound, count) if count else np.zeros((len(sound), 0), np.float32)
        self._phase += count * self._step
        used = min(self._phase // self._phases, sound.shape[1])
        self._phase -= used * self._phases
        self._waiting = sound[:, used:].copy()
        return out

    def _filtered(self, sound: Samples, count: int) -> Samples:
        # einsum, because BLAS would wake its threads for this: 30 ms a second at 48 kHz instead of 1.
        shape = (len(sound), sound.shape[1] - self._taps + 1, self._taps)
        windows: NDArray[np.float32] = np.ndarray(shape, np.float32, sound, strides=(*sound.strides, sound.strides[1]))
        out = np.empty((len(sound), count), np.float32)
        if self._phases <= _FEW_PHASES:
            for first in range(min(self._phases, count)):  # every ``phases``-th output has the same row of the filter
                begin, row = divmod(self._phase + self._step * first, self._phases)
                wanted = out[:, first :: self._phases]
                chosen = windows[:, begin :: self._step][:, : wanted.shape[1]]
                wanted[:] = np.einsum("cnt,t->cn", chosen, self._filters[row])
            return out
        positions = self._phase + self._step * np.arange(count)
        filters = self._filters[positions % self._phases]
        for channel, row_windows in enumerate(windows):
            np.einsum("nt,nt->n", row_windows[positions // self._phases], filters, out=out[channel])
        return out


@lru_cache(maxsize=16)
def _filters(phases: int, step: int) -> NDArray[np.float32]:
    """One row per phase, shape ``(phases, taps)``; rows add up to 1, so that a constant stays constant."""
    band = _CUTOFF * min(1.0, phases / step)  # of the input's half rate
    half = int(np.ceil(_ZERO_CROSSINGS * max(1.0, step / phases)))
    distance = np.arange(1 - half, half + 1)[None, :] - np.arange(phases)[:, None] / phases
    window = np.i0(_KAISER_BETA * np.sqrt(np.clip(1 - (distance / half) ** 2, 0, None)))
    rows = np.sinc(band * distance) * window
    return np.asarray(rows / rows.sum(axis=1, keepdims=True), np.float32)
