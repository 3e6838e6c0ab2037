"""Sounds made on the spot, and the few recorded ones beside the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

AUDIO = Path(__file__).parent.parent / "audio"


def sweeps(rate: int, seconds: float = 1.5, channels: int = 1) -> Samples:
    """One sweep per channel, each different, all within what a telephone carries; shape ``(channels, n)``, peak 0.5."""
    t = np.arange(round(rate * seconds)) / rate
    voices = [np.sin(2 * np.pi * (350 + 90 * index + (500 + 40 * index) * t / 2) * t) for index in range(channels)]
    fade = np.minimum(1, np.minimum(t, t[::-1]) / 0.02)
    return (0.5 * fade * np.array(voices)).astype(np.float32)


def noise(seconds: float, rms: float = 0.05, seed: int = 7) -> Samples:
    """White noise at 16 kHz, shape ``(n,)``."""
    return (rms * np.random.default_rng(seed).standard_normal(round(16_000 * seconds))).astype(np.float32)


def likeness(decoded: Samples, original: Samples, reach: int = 800) -> float:
    """Largest correlation (1: the same) of two signals of shape ``(n,)`` over shifts up to ``reach`` samples either way."""
    size = len(decoded) + len(original)
    spectrum = np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(original, size))
    correlation = np.fft.irfft(spectrum, size)
    near = np.concatenate([correlation[-reach:], correlation[: reach + 1]])
    return float(near.max() / (np.linalg.norm(decoded) * np.linalg.norm(original) + 1e-12))
