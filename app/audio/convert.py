"""Bytes of headerless audio to samples, and any rate to 16 kHz: incremental, for files and live streams alike."""

from __future__ import annotations

from typing import Final

import numpy as np
import soxr
from numpy.typing import NDArray

from app.domain.audio import SAMPLE_RATE, AudioFormat
from app.domain.errors import BadAudio

Samples = NDArray[np.float32]
"""float32, shape ``(channels, n)``, at the rate of the source."""

MIN_SAMPLE_RATE: Final = 1_000
MAX_SAMPLE_RATE: Final = 384_000
"""Hertz; no speech is slower and nothing records faster. At 1 Hz a megabyte would unpack to days of samples."""

_FULL_SCALE: Final = np.float32(32_768)
_LOUDEST: Final = 1e6
"""Samples above this are no sound (full scale is 1), and their squares would overflow float32 further down. Float files
that hold 16-bit numbers by mistake stay below it."""


def finite(samples: Samples) -> Samples:
    """``samples`` with what no sound can be (NaN, infinities, absurd peaks) replaced by silence. Clipping stays as it is."""
    sane = np.abs(samples) <= _LOUDEST  # False for NaN too
    return samples if sane.all() else np.where(sane, samples, np.float32(0.0))


def check_sample_rate(sample_rate: int) -> int:
    """Return ``sample_rate`` if sound can have it, else raise ``BadAudio``; 0 is a client that did not say."""
    if sample_rate == 0:
        raise BadAudio("Headerless audio in this encoding needs its sample rate: sample_rate, 1000 to 384000.")
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        raise BadAudio(f"The sample rate must lie between {MIN_SAMPLE_RATE} and {MAX_SAMPLE_RATE} Hz.")
    return sample_rate


def _mulaw_table() -> Samples:
    code = ~np.arange(256, dtype=np.uint8)  # G.711 sends every bit inverted
    magnitude = (((code & 0x0F).astype(np.int32) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    table: Samples = np.where(code & 0x80, -magnitude, magnitude).astype(np.float32) / _FULL_SCALE
    return table


def _alaw_table() -> Samples:
    code = np.arange(256, dtype=np.uint8) ^ 0x55  # G.711 inverts every second bit
    exponent = (code >> 4 & 7).astype(np.int32)
    magnitude = ((code & 0x0F).astype(np.int32) << 4) + 8 + np.where(exponent > 0, 0x100, 0)
    magnitude <<= np.maximum(exponent - 1, 0)
    table: Samples = np.where(code & 0x80, magnitude, -magnitude).astype(np.float32) / _FULL_SCALE
    return table


_TABLES: Final = {"mulaw": _mulaw_table(), "alaw": _alaw_table()}
_SAMPLE_BYTES: Final = {"linear16": 2, "linear32": 4, "mulaw": 1, "alaw": 1}


class PcmReader:
    """Interleaved samples of a declared coding, from bytes cut anywhere.

    ``linear16`` is signed little-endian, ``linear32`` is 32-bit float little-endian (contract 3.2). A frame that a cut has
    divided waits for the next ``feed``; what ``pending_bytes`` counts at the end was never a whole frame.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        if audio_format.encoding not in _SAMPLE_BYTES:
            raise BadAudio(f"{audio_format.encoding} is not a sample format that can be read without a container.")
        self.channels = audio_format.channels
        self.sample_rate = check_sample_rate(audio_format.sample_rate)
        self._encoding = audio_format.encoding
        self._frame_bytes = _SAMPLE_BYTES[audio_format.encoding] * audio_format.channels
        self._pending = b""

    @staticmethod
    def reads(encoding: str) -> bool:
        """Whether ``encoding`` is one of the plain sample formats this class reads."""
        return encoding in _SAMPLE_BYTES

    @property
    def pending_bytes(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._pending)

    def feed(self, data: bytes) -> Samples:
        """All frames that ``data`` completes, shape ``(channels, n)``."""
        data = self._pending + data
        whole = len(data) - len(data) % self._frame_bytes
        self._pending = data[whole:]
        flat = self._samples(data[:whole])
        return np.ascontiguousarray(flat.reshape(-1, self.channels).T)

    def _samples(self, data: bytes) -> Samples:
        if self._encoding == "linear16":
            numbers: Samples = np.frombuffer(data, "<i2").astype(np.float32) / _FULL_SCALE
            return numbers
        if self._encoding == "linear32":
            return finite(np.frombuffer(data, "<f4").astype(np.float32))
        table: Samples = _TABLES[self._encoding]
        return table[np.frombuffer(data, np.uint8)]


class Resampler:
    """One rate to another without seams between blocks. After ``flush`` it is used up.

    Quality "HQ" of soxr: 0.5 ms per second of 44.1 kHz mono. At equal rates the blocks pass through untouched.
    """

    def __init__(self, from_rate: int, channels: int, to_rate: int = SAMPLE_RATE) -> None:
        self._channels = channels
        self._stream: soxr.ResampleStream | None = None
        if from_rate != to_rate:
            self._stream = soxr.ResampleStream(from_rate, to_rate, channels, dtype="float32", quality="HQ")

    def feed(self, block: Samples) -> Samples:
        """What ``block`` makes available, shape ``(channels, m)``; ``m`` may be 0 and lags the input a little."""
        return block if self._stream is None else self._run(block, last=False)

    def flush(self) -> Samples:
        """The rest, so that the total length matches the input's to a sample."""
        empty = np.zeros((self._channels, 0), np.float32)
        return empty if self._stream is None else self._run(empty, last=True)

    def _run(self, block: Samples, *, last: bool) -> Samples:
        assert self._stream is not None  # noqa: S101 -- both callers have checked
        out = self._stream.resample_chunk(np.ascontiguousarray(block.T), last=last)
        return np.ascontiguousarray(out.reshape(-1, self._channels).T)
