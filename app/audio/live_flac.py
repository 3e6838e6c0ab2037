"""FLAC while it arrives. FFmpeg's parser holds ten frames back to be sure of them: 0.7 to 2 s. This one holds none.

A FLAC frame does not say how long it is. It ends where the next header begins, or, when nothing has come after it, where its
own checksum comes out even.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from app.audio.live_packets import RAW_PATIENCE_BYTES, new_decoder
from app.audio.live_part import PATIENCE_BYTES, Sound, native_errors, sounds
from app.domain.errors import BadAudio

if TYPE_CHECKING:
    import av

_SYNCS: Final = (b"\xff\xf8", b"\xff\xf9")  # frames of one size, and of changing size
_MAX_FRAME_BYTES: Final = 2 << 20  # 65,535 frames of 8 channels with 24 bits, uncompressed, and a little
_LONGEST_HEADER: Final = 16
_MAX_METADATA_BYTES: Final = 64 << 20
_MOST_LOST_FRAMES: Final = 16
_STREAMINFO_BYTES: Final = 34


class FlacPart:
    """From ``fLaC`` on, or from any frame of a stream recorded from its middle."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._decoder = new_decoder("flac")
        self._in_metadata: bool | None = None  # None: the first four bytes have not come
        self._skip_bytes = 0
        self._checked = _Checksum()
        self._heard = False

    @property
    def patience_bytes(self) -> int:
        """See ``LivePart``. Metadata are skipped, not held: cover pictures take megabytes."""
        if self._in_metadata or self._skip_bytes:
            return _MAX_METADATA_BYTES
        return PATIENCE_BYTES if self._heard or self._decoder.extradata else RAW_PATIENCE_BYTES

    def feed(self, data: bytes) -> Iterator[Sound]:
        skipped = min(self._skip_bytes, len(data))
        self._skip_bytes -= skipped
        self._data += data[skipped:]
        if self._in_metadata is None and len(self._data) >= 4:
            self._in_metadata = self._data.startswith(b"fLaC")
            del self._data[: 4 if self._in_metadata else 0]
        while self._in_metadata and self._next_block():
            pass
        if self._in_metadata is False and self._skip_bytes == 0:
            yield from self._frames()

    def flush(self) -> Iterator[Sound]:
        if self._data and self._in_metadata is False:
            yield from self._decode(bytes(self._data))
        self._data.clear()

    def close(self) -> None:
        """Nothing to give back."""

    def _next_block(self) -> bool:
        """Take one metadata block off. False: more bytes are needed, or there are no more blocks."""
        if len(self._data) < 4:
            return False
        kind, size = self._data[0] & 0x7F, int.from_bytes(self._data[1:4], "big")
        if kind == 0:
            if size != _STREAMINFO_BYTES:
                raise BadAudio("The FLAC header is damaged.")
            if len(self._data) < 4 + size:
                return False
            self._decoder.extradata = bytes(self._data[4 : 4 + size])
        elif kind == 127:  # reserved, so that no frame looks like a block
            raise BadAudio("The FLAC header is damaged.")
        self._in_metadata = not self._data[0] & 0x80
        self._skip_bytes = max(0, 4 + size - len(self._data))
        del self._data[: 4 + size]
        return self._skip_bytes == 0

    def _frames(self) -> Iterator[Sound]:
        self._to_header()
        while (end := self._next_header(_LONGEST_HEADER // 2)) > 0:
            yield from self._decode(bytes(self._data[:end]))
            self._drop(end)
        if len(self._data) > _MAX_FRAME_BYTES:
            self._drop(len(self._data))
        if self._data and self._checked.even(self._data):
            # One start in 65,536 looks like a whole frame and is none; the decoder would miss its end, and gives nothing.
            heard = list(self._decode(bytes(self._data)))
            if heard:
                self._drop(len(self._data))
            yield from heard

    def _to_header(self) -> None:
        """Drop what precedes the first header."""
        if _header_bytes(self._data, 0) == 0:
            found = self._next_header(0)
            self._drop(found if found >= 0 else max(0, len(self._data) - _LONGEST_HEADER))

    def _next_header(self, begin: int) -> int:
        """Where the next whole header begins at or after ``begin``; -1: nowhere. The one in front sets the pattern."""
        syncs = (bytes(self._data[:2]),) if _header_bytes(self._data, 0) > 0 else _SYNCS
        numbers = _following(self._data) if len(syncs) == 1 else None
        for sync in syncs:
            at = self._data.find(sync, begin)
            while at >= 0:
                if _header_bytes(self._data, at) > 0 and (numbers is None or _number(self._data, at) in numbers):
                    return at
                at = self._data.find(sync, at + 1)
        return -1

    def _drop(self, count: int) -> None:
        if count:
            del self._data[:count]
            self._checked = _Checksum()

    def _decode(self, frame: bytes) -> Iterator[Sound]:
        import av

        frames: list[av.AudioFrame] = []
        with suppress(*native_errors()):
            frames = self._decoder.decode(av.Packet(frame))
        for sound in sounds(frames):
            self._heard = True
            yield sound


class _Checksum:
    """CRC-16 of growing bytes, each looked at once: 0.1 microseconds a byte, 3 ms per second of speech at 16 kHz."""

    def __init__(self) -> None:
        self._value = self._length = 0

    def even(self, data: bytearray) -> bool:
        """Whether ``data``, which begins with what it held before, ends with its own checksum."""
        value, table = self._value, _CRC16
        for byte in data[self._length :]:
            value = (value << 8 & 0xFF00) ^ table[value >> 8 ^ byte]
        self._value, self._length = value, len(data)
        return value == 0


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    top, mask = 1 << bits - 1, (1 << bits) - 1
    rows = []
    for row in range(256):
        value = row << bits - 8
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
        rows.append(value)
    return tuple(rows)


_CRC8: Final = _table(0x07, 8)
_CRC16: Final = _table(0x8005, 16)


def _header_bytes(data: bytearray, at: int) -> int:
    """Length of the whole and undamaged frame header at ``at``; 0 if there is none."""
    if len(data) < at + 6 or data[at] != 0xFF or data[at + 1] & 0xFE != 0xF8:
        return 0
    block, rate, channels, depth = data[at + 2] >> 4, data[at + 2] & 15, data[at + 3] >> 4, data[at + 3] >> 1 & 7
    if block == 0 or rate == 15 or channels > 10 or depth == 3 or data[at + 3] & 1:
        return 0
    end = at + 4 + _coded_bytes(data[at + 4]) + {6: 1, 7: 2}.get(block, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if len(data) <= end:
        return 0
    check = 0
    for byte in data[at:end]:
        check = _CRC8[check ^ byte]
    return end + 1 - at if check == data[end] else 0


def _coded_bytes(first: int) -> int:
    """Bytes of a number in the extended UTF-8 that begins with ``first``."""
    return 1 if first < 0x80 else 8 - (first ^ 0xFF).bit_length()


def _number(data: bytearray, at: int) -> int:
    """The frame's or its first sample's number."""
    first = data[at + 4]
    count = _coded_bytes(first)
    value = first if count == 1 else first & (0x7F >> count)
    for byte in data[at + 5 : at + 4 + count]:
        value = value << 6 | byte & 0x3F
    return value


def _following(data: bytearray) -> range:
    """Numbers that the frame behind the one in front of ``data`` may have. Frames are counted, or their samples are."""
    most = _MOST_LOST_FRAMES if data[1] == _SYNCS[0][1] else _MOST_LOST_FRAMES << 16
    return range(_number(data, 0) + 1, _number(data, 0) + 1 + most)
