"""Bytes of a WebSocket connection cut at its frames: whole binary messages are read here, all else is the library's.

The library steps through six generators and makes four objects for each frame: 13 us, and 3 us here. Hundreds of streams
send thousands of frames a second, nearly all of them one whole message of sound.
"""

from __future__ import annotations

from collections.abc import Iterator

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform for which there is no wheel
    from websockets.utils import apply_mask

_WHOLE_BINARY = 0x82
_CONTROL, _FIN, _MASKED = 0x08, 0x80, 0x80


class FrameSplitter:
    """``split`` yields ``(True, payload)`` for a whole binary message and ``(False, frame)`` for any other frame, unchanged.

    Frames that the library will refuse are given to it as they come, with all that follows. ``max_bytes`` bounds a message.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._waiting = bytearray()
        self._needed = 0
        self._in_fragments = False
        self._is_broken = False

    def split(self, data: bytes) -> Iterator[tuple[bool, bytes]]:
        """Take what has come. Must be read to its end, or not go on."""
        if self._waiting:
            self._waiting += data
            if len(self._waiting) < self._needed:
                return
            data = bytes(self._waiting)
            self._waiting.clear()
        begin, size = 0, len(data)
        while begin < size:
            if self._is_broken:
                yield False, data[begin:]
                return
            header, end = _extent(data, begin)
            if end - begin - header > self._max_bytes or (size > begin + 1 and not data[begin + 1] & _MASKED):
                self._is_broken = True
                continue
            if end > size:
                self._waiting += data[begin:]
                self._needed = end - begin
                return
            if data[begin] == _WHOLE_BINARY and not self._in_fragments:
                yield True, apply_mask(data[begin + header : end], data[begin + header - 4 : begin + header])
            else:
                if not data[begin] & _CONTROL:
                    self._in_fragments = not data[begin] & _FIN
                yield False, data[begin:end]
            begin = end


def _extent(data: bytes, begin: int) -> tuple[int, int]:
    """Bytes of a client's frame header, and where the frame ends; where the next part of the header does, if it is not all
    there."""
    have = len(data) - begin
    if have < 2:
        return 2, begin + 2
    length = data[begin + 1] & 0x7F
    if length < 126:
        return 6, begin + 6 + length
    header = 8 if length == 126 else 14
    if have < header - 4:
        return header, begin + header
    return header, begin + header + int.from_bytes(data[begin + 2 : begin + header - 4], "big")
