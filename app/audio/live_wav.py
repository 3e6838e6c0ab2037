"""WAV as it is written into a socket: the length in the header is often unknown, and sometimes wrong."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from app.audio.convert import check_sample_rate
from app.audio.live_container import ContainerPart
from app.audio.live_packets import FixedPart, PlainPart
from app.audio.live_part import HEADER_PATIENCE_BYTES, LivePart, Sound
from app.domain.audio import AudioFormat
from app.domain.errors import BadAudio

_UNKNOWN_SIZE: Final = 0x7FFFF000
"""Sizes from here on are "until the end" as different programs write it (0xFFFFFFFF, 0x7FFFFFFF and a little less)."""

_READERS: Final = {(1, 16): "linear16", (3, 32): "linear32", (7, 8): "mulaw", (6, 8): "alaw"}
_CODECS: Final = {
    (1, 8): "pcm_u8",
    (1, 16): "pcm_s16le",
    (1, 24): "pcm_s24le",
    (1, 32): "pcm_s32le",
    (3, 32): "pcm_f32le",
    (3, 64): "pcm_f64le",
}
"""(format tag, bits) -> encoding that ``PcmReader`` reads, or FFmpeg's name of it."""

_MAX_HEADER_BYTES: Final = 1 << 20
_EXTENSIBLE: Final = 0xFFFE


class WavPart:
    """A WAV stream from ``RIFF`` on. Samples run to the end when the length is unknown; where a stated length is reached,
    further chunks are skipped, and anything that is not a chunk is more samples."""

    def __init__(self) -> None:
        self._head = b""
        self._fmt = b""
        self._order = "<"  # of the bytes: RIFX files have the other
        self._at = 12  # the next chunk, in ``_head``
        self._samples: LivePart | None = None
        self._left = 0  # bytes of samples (or of a chunk behind them) still to come; -1: all that comes
        self._skipping = False

    @property
    def patience_bytes(self) -> int:
        """See ``LivePart``."""
        return HEADER_PATIENCE_BYTES if self._samples is None else self._samples.patience_bytes

    def feed(self, data: bytes) -> Iterator[Sound]:
        self._head += data
        if self._samples is None and not self._read_header():
            return
        yield from self._body()

    def flush(self) -> Iterator[Sound]:
        if self._samples is None:
            raise BadAudio("The WAV header is damaged: it names no format, or no samples.")
        yield from self._samples.flush()

    def close(self) -> None:
        if self._samples is not None:
            self._samples.close()

    def _read_header(self) -> bool:
        """Walk the chunks up to the samples. False: they have not come yet."""
        if self._head[:4] == b"RIFX":
            self._order = ">"
        while len(self._head) >= self._at + 8:
            name, size = struct.unpack_from(f"{self._order}4sI", self._head, self._at)
            payload = self._head[self._at + 8 : self._at + 8 + size]
            if name == b"data":
                self._open(size)
                return True
            if len(payload) < size:
                break
            if name == b"fmt ":
                self._fmt = payload
            self._at += 8 + size + size % 2
        if len(self._head) > _MAX_HEADER_BYTES:
            raise BadAudio("The WAV header is damaged: it names no format, or no samples.")
        return False

    def _open(self, size: int) -> None:
        if len(self._fmt) < 16:
            raise BadAudio("The WAV header is damaged: it names no format.")
        tag, channels, rate, _, _, bits = struct.unpack_from(f"{self._order}HHIIHH", self._fmt)
        if tag == _EXTENSIBLE and len(self._fmt) >= 26:
            tag = struct.unpack_from(f"{self._order}H", self._fmt, 24)[0]
        check_sample_rate(rate)
        if channels == 0:
            raise BadAudio("The WAV header is damaged: it names no channels.")
        if (tag, bits) in _READERS and (self._order == "<" or bits == 8):
            self._samples = PlainPart(AudioFormat(_READERS[tag, bits], rate, channels))
        elif (tag, bits) in _CODECS and channels <= 2:
            frame_bytes = channels * bits // 8
            codec = _CODECS[tag, bits].replace("le", "le" if self._order == "<" else "be")
            self._samples = FixedPart(codec, rate, channels, frame_bytes, together=True)
        else:  # ADPCM, GSM, MP3 in WAV: the decoder needs the header as it is
            self._samples, self._left = ContainerPart("wav", {"ignore_length": "1"}), -1
            return
        self._head = self._head[self._at + 8 :]
        self._left = -1 if size == 0 or size >= _UNKNOWN_SIZE else size + size % 2

    def _body(self) -> Iterator[Sound]:
        assert self._samples is not None  # noqa: S101 -- the header has been read
        while self._head:
            if self._left == 0 and not self._next_chunk():
                return
            part = self._head if self._left < 0 else self._head[: self._left]
            self._head = self._head[len(part) :]
            self._left -= len(part) if self._left > 0 else 0
            if not self._skipping:
                yield from self._samples.feed(part)

    def _next_chunk(self) -> bool:
        """At the stated end: is this a chunk to be skipped, or more samples? False: too few bytes to tell."""
        if len(self._head) < 8:
            return False
        name, size = struct.unpack_from(f"{self._order}4sI", self._head)
        self._skipping = all(32 <= letter < 127 for letter in name) and size < _MAX_HEADER_BYTES
        self._left = 8 + size + size % 2 if self._skipping else -1
        return True
