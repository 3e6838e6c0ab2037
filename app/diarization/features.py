"""What a voice sounds like, frame by frame: the shape of its spectrum and its pitch, in numpy.

A frame is 40 ms every 16 ms, so two frames begin in each window of the voice detector. Only voiced frames say much about who
speaks: a vowel carries the resonances of one throat, an "s" those of the teeth.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from app.domain.audio import SAMPLE_RATE, Pcm16k

HOP_SAMPLES = 256
FRAME_SAMPLES = 640
COEFFICIENTS = 18
"""Cepstral coefficients 1 to 18. The 0th is loudness, which tells distances to the microphone apart and not voices."""

DIMENSIONS = COEFFICIENTS + 1
"""The coefficients and the logarithm of the pitch."""

_FFT = 1024
"""At least a frame and the longest lag: the autocorrelation that comes out of the power spectrum must not wrap around."""

_BANDS = 26
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 7600.0
_LOWEST_PITCH_HZ, _HIGHEST_PITCH_HZ = 65.0, 400.0
_SHORTEST_LAG, _LONGEST_LAG = int(SAMPLE_RATE / _HIGHEST_PITCH_HZ), math.ceil(SAMPLE_RATE / _LOWEST_PITCH_HZ)
_VOICED = 0.5
"""Height of the autocorrelation's peak from which a frame counts as voiced; 1 is a perfectly regular sound."""

_OCTAVE_COST = 0.1
"""What a lag twice as long must gain: each multiple of a period fits as well as the period itself."""

_FRAMES_AT_ONCE = 512
_RANGE_DB = 80.0
"""Bands more than this below the loudest of their frame are raised to it, or digital silence would outweigh all else."""

Floats = NDArray[np.float32]


def frame_count(length_samples: int) -> int:
    """Whole frames in so many samples."""
    return max(0, (length_samples - FRAME_SAMPLES) // HOP_SAMPLES + 1)


def voice_features(pcm: Pcm16k) -> tuple[Floats, NDArray[np.bool_]]:
    """Features of each whole frame of ``pcm``, shape ``(frames, 19)``, and whether it is voiced, shape ``(frames,)``."""
    frames = frame_count(len(pcm))
    features = np.empty((frames, DIMENSIONS), np.float32)
    voiced = np.empty(frames, np.bool_)
    windows = np.lib.stride_tricks.sliding_window_view(pcm, FRAME_SAMPLES)[::HOP_SAMPLES] if frames else None
    for begin in range(0, frames, _FRAMES_AT_ONCE):
        assert windows is not None  # noqa: S101 - there are frames
        end = min(begin + _FRAMES_AT_ONCE, frames)
        features[begin:end], voiced[begin:end] = _features(windows[begin:end])
    return features, voiced


def _features(windows: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    power = np.square(np.abs(np.fft.rfft(windows * _hann(), _FFT))).astype(np.float32)
    bands = 10 * np.log10(power @ _mel_bands() + 1e-10)
    bands = np.maximum(bands, bands.max(axis=1, keepdims=True) - _RANGE_DB)
    lag, height = _pitch(power)
    return np.column_stack([bands @ _cosines(), np.log(SAMPLE_RATE / lag)]), height >= _VOICED


def _pitch(power: Floats) -> tuple[Floats, Floats]:
    """The period in samples and the height of its peak, by the normalised autocorrelation."""
    correlation = np.fft.irfft(power, _FFT)[:, : _LONGEST_LAG + 2]
    own = correlation[:, :1] + 1e-9
    height = correlation / own / _window_correlation()
    lags = np.arange(_SHORTEST_LAG, _LONGEST_LAG + 1)
    searched = height[:, _SHORTEST_LAG : _LONGEST_LAG + 1] - _OCTAVE_COST * np.log2(lags / _SHORTEST_LAG)
    best = searched.argmax(axis=1)
    return lags[best].astype(np.float32), height[np.arange(len(best)), lags[best]].astype(np.float32)


@cache
def _hann() -> Floats:
    return np.asarray(np.hanning(FRAME_SAMPLES), np.float32)


@cache
def _window_correlation() -> Floats:
    own = np.fft.irfft(np.square(np.abs(np.fft.rfft(_hann(), _FFT))), _FFT)[: _LONGEST_LAG + 2]
    return np.asarray(own / own[0], np.float32)


@cache
def _mel_bands() -> Floats:
    """Triangles that are equally wide to the ear, shape ``(bins, bands)``; each sums to one."""

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    edges = 700 * (10 ** (np.linspace(mel(_LOWEST_HZ), mel(_HIGHEST_HZ), _BANDS + 2) / 2595) - 1)
    bins = np.arange(_FFT // 2 + 1)[:, np.newaxis] * SAMPLE_RATE / _FFT
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return np.asarray(triangles / triangles.sum(axis=0), np.float32)


@cache
def _cosines() -> Floats:
    """The discrete cosine transform from bands to coefficients, shape ``(bands, coefficients)``."""
    band = np.arange(_BANDS)[:, np.newaxis] + 0.5
    turns = np.pi / _BANDS * band * np.arange(1, COEFFICIENTS + 1)
    return np.asarray(np.sqrt(2 / _BANDS) * np.cos(turns), np.float32)
