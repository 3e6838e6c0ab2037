"""What sound is inside the server: 16 kHz mono float32, and the arithmetic between samples and seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""Hertz. Whisper's and Silero's rate; everything is resampled to it once, on the way in."""

Pcm16k = NDArray[np.float32]
"""float32, mono, 16,000 Hz, -1..1, shape ``(n,)``."""

PcmBlock = NDArray[np.float32]
"""float32, 16,000 Hz, -1..1, shape ``(channels, n)``: a stretch of a recording with its channels apart."""

HEADERLESS_ENCODINGS = (
    "linear16", "linear32", "flac", "alaw", "mulaw", "amr-nb", "amr-wb", "opus", "ogg-opus", "speex", "g729",
)  # fmt: skip
"""Values of Deepgram's ``encoding`` (contract 2.2)."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How headerless audio is coded, as the client declares it.

    ``encoding`` is one of ``HEADERLESS_ENCODINGS``; ``sample_rate`` in hertz, 0 when the client did not say (a container
    needs none); ``channels`` interleaved, at least 1.
    """

    encoding: str
    sample_rate: int
    channels: int = 1


@dataclass(frozen=True, slots=True)
class AudioLimits:
    """What a recording may be at most: ``max_seconds`` after decoding (stops compression bombs), ``max_channels``."""

    max_seconds: float
    max_channels: int = 20


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The part of a recording that is wanted, in seconds: from ``start_s`` on, for ``duration_s`` (None: to the end)."""

    start_s: float = 0.0
    duration_s: float | None = None


WHOLE = TimeRange()
"""All of a recording."""


def seconds(samples: int) -> float:
    """Seconds that ``samples`` at 16 kHz last."""
    return samples / SAMPLE_RATE


def samples(duration_s: float) -> int:
    """Samples at 16 kHz in ``duration_s`` seconds, rounded to the nearest."""
    return round(duration_s * SAMPLE_RATE)
