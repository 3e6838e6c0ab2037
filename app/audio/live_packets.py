"""Codings whose packets show their own bounds, or come one to a message: decoded in the caller, without a demuxer.

MP3 and AAC in ADTS could be demuxed by FFmpeg like a container, but its demuxers for them read kilobytes at a time: a stream
of 32 kbit/s came out 144 to 288 ms late. Its parsers, used here, give each frame as soon as it is whole.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from app.audio.convert import PcmReader
from app.audio.live_part import PATIENCE_BYTES, Sound, native_errors, sounds
from app.domain.audio import SAMPLE_RATE, AudioFormat, PcmBlock

if TYPE_CHECKING:
    import av

RAW_PATIENCE_BYTES: Final = 64 << 10
"""Bytes without sound after which headerless bytes are not what they were declared to be."""


def has_decoder(codec: str) -> bool:
    """Whether the installed FFmpeg libraries decode ``codec``."""
    import av.codec

    try:
        av.codec.Codec(codec, "r")
    except native_errors():
        return False
    return True


def new_decoder(codec: str, sample_rate: int = 0, channels: int = 0) -> av.AudioCodecContext:
    """A decoder of FFmpeg; what the packets say themselves may stay 0."""
    import av

    decoder = cast("av.AudioCodecContext", av.CodecContext.create(codec, "r"))
    decoder.thread_count = 1
    if sample_rate:
        decoder.sample_rate = sample_rate
    if channels:
        decoder.layout = "stereo" if channels == 2 else "mono"
    return decoder


class ParsedPart:
    """Frames that FFmpeg's parser finds in bytes cut anywhere: MP3, AAC in ADTS, AC-3, AMR. ``codec`` is FFmpeg's name."""

    patience_bytes = PATIENCE_BYTES

    def __init__(self, codec: str, sample_rate: int = 0, channels: int = 0, skip_bytes: int = 0) -> None:
        self._decoder = new_decoder(codec, sample_rate, channels)
        self._skip_bytes = skip_bytes
        self._lead_in = _LeadIn() if codec == "mp3" else None

    def feed(self, data: bytes) -> Iterator[Sound]:
        skipped = min(self._skip_bytes, len(data))
        self._skip_bytes -= skipped
        if len(data) > skipped:
            yield from self._parsed(data[skipped:])

    def flush(self) -> Iterator[Sound]:
        yield from self._parsed(b"")  # the parser takes that for the end
        yield from _decoded(self._decoder, None)

    def close(self) -> None:
        """Nothing to give back."""

    def _parsed(self, data: bytes) -> Iterator[Sound]:
        packets: list[av.Packet[Any]] = []
        with suppress(*native_errors()):
            packets = self._decoder.parse(data)
        for packet in packets:
            if self._lead_in is None:
                yield from _decoded(self._decoder, packet)
            elif not self._lead_in.announces(bytes(packet)):
                yield from self._lead_in.trimmed(_decoded(self._decoder, packet))


class PlainPart:
    """Samples that ``PcmReader`` reads: linear16, linear32, mu-law, A-law."""

    patience_bytes = PATIENCE_BYTES

    def __init__(self, audio_format: AudioFormat) -> None:
        self._reader = PcmReader(audio_format)
        self.is_as_wanted = audio_format.sample_rate == SAMPLE_RATE and audio_format.encoding != "linear32"
        """Whether ``samples`` are a stream's as they are: at its rate, and numbers all of them, as floats need not be."""

    def samples(self, data: bytes) -> PcmBlock:
        """All frames that ``data`` completes, at the rate of the source."""
        return self._reader.feed(data)

    def feed(self, data: bytes) -> Iterator[Sound]:
        samples = self.samples(data)
        if samples.shape[1]:
            yield Sound(samples, self._reader.sample_rate)

    def flush(self) -> Iterator[Sound]:
        return iter(())

    def close(self) -> None:
        """Nothing to give back."""


class PacketPart:
    """One packet per message: Opus and Speex without a container. Packets that cannot be decoded are passed over."""

    patience_bytes = RAW_PATIENCE_BYTES

    def __init__(self, codec: str, sample_rate: int, channels: int) -> None:
        self._decoder = new_decoder(codec, sample_rate, channels)

    def feed(self, data: bytes) -> Iterator[Sound]:
        import av

        if data:
            yield from _decoded(self._decoder, av.Packet(data))

    def flush(self) -> Iterator[Sound]:
        yield from _decoded(self._decoder, None)

    def close(self) -> None:
        """Nothing to give back."""


class FixedPart:
    """Packets of one size without any mark: G.729 at 8 kbit/s (10 bytes for 10 ms), PCM that has no reader of its own."""

    patience_bytes = RAW_PATIENCE_BYTES

    def __init__(self, codec: str, sample_rate: int, channels: int, packet_bytes: int, *, together: bool = False) -> None:
        self._decoder = new_decoder(codec, sample_rate, channels)
        self._packet_bytes = packet_bytes
        self._together = together  # whether the decoder takes many at once
        self._pending = b""

    def feed(self, data: bytes) -> Iterator[Sound]:
        import av

        data = self._pending + data
        whole = len(data) - len(data) % self._packet_bytes
        self._pending = data[whole:]
        step = max(whole, 1) if self._together else self._packet_bytes
        for begin in range(0, whole, step):
            yield from _decoded(self._decoder, av.Packet(data[begin : begin + step]))

    def flush(self) -> Iterator[Sound]:
        yield from _decoded(self._decoder, None)

    def close(self) -> None:
        """Nothing to give back."""


def _decoded(decoder: av.AudioCodecContext, packet: av.Packet[Any] | None) -> Iterator[Sound]:
    frames: list[av.AudioFrame] = []
    with suppress(*native_errors()):
        frames = decoder.decode(packet)
    return sounds(frames)


class _LeadIn:
    """What an MP3 encoder adds in front: a frame that describes the file, and the delay of encoder and decoder.

    Without this every word of a file would be 50 to 140 ms late. A stream recorded from its middle has neither.
    """

    _DECODER_DELAY = 529  # samples, of every MP3 decoder

    def __init__(self) -> None:
        self._first = True
        self._surplus_samples = 0

    def announces(self, frame: bytes) -> bool:
        """Whether ``frame`` is the one that describes the file; it is not sound."""
        first, self._first = self._first, False
        at = max(frame[:64].find(b"Xing"), frame[:64].find(b"Info")) if first else -1
        if at < 0:
            return False
        flags = int.from_bytes(frame[at + 4 : at + 8], "big")
        encoder = at + 8 + sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit)
        delay = frame[encoder + 21 : encoder + 24]
        if frame[encoder : encoder + 4] in (b"LAME", b"Lavf", b"Lavc") and len(delay) == 3:
            self._surplus_samples = (struct.unpack(">H", delay[:2])[0] >> 4) + self._DECODER_DELAY
        return True

    def trimmed(self, pieces: Iterator[Sound]) -> Iterator[Sound]:
        for samples, sample_rate in pieces:
            surplus = min(self._surplus_samples, samples.shape[1])
            self._surplus_samples -= surplus
            if surplus < samples.shape[1]:
                yield Sound(samples[:, surplus:], sample_rate)
