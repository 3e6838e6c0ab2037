"""MP4 in fragments, as Safari's MediaRecorder writes it, handed to the demuxer box by box."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from app.audio.live_container import ContainerPart
from app.audio.live_part import HEADER_PATIENCE_BYTES, Sound
from app.domain.errors import BadAudio

_MEDIA: Final = b"mdat"
_INDEX: Final = b"moov"
_TO_THE_END: Final = -1


class Mp4Part:
    """From ``ftyp`` on. Boxes that describe are passed on whole, sound as it comes.

    FFmpeg steps back by a few bytes inside some boxes, and on a stream it can do so only within what it got in one read: fed
    byte by byte it takes a good header for a damaged one. Nothing comes later for it: half an index leads to no sound.
    """

    def __init__(self) -> None:
        self._demuxer = ContainerPart("mp4")
        self._held = b""
        self._open_bytes = 0  # of the box being passed on, still to come
        self._indexed = False

    @property
    def patience_bytes(self) -> int:
        """See ``LivePart``."""
        return self._demuxer.patience_bytes

    def feed(self, data: bytes) -> Iterator[Sound]:
        ready = self._whole_boxes(data)
        if ready:
            yield from self._demuxer.feed(ready)

    def flush(self) -> Iterator[Sound]:
        if self._held:
            yield from self._demuxer.feed(self._held)
        yield from self._demuxer.flush()

    def close(self) -> None:
        self._demuxer.close()

    def _whole_boxes(self, data: bytes) -> bytes:
        data = self._held + data
        at = 0
        while at < len(data) and (self._open_bytes or self._box_begins(data, at)):
            taken = len(data) - at if self._open_bytes == _TO_THE_END else min(self._open_bytes, len(data) - at)
            self._open_bytes -= taken if self._open_bytes > 0 else 0
            at += taken
        self._held = data[at:]
        return data[:at]

    def _box_begins(self, data: bytes, at: int) -> bool:
        """Whether the box at ``at`` can be passed on, now or piece by piece. Sets ``_open_bytes`` to its size if so."""
        if len(data) - at < 16:
            return False
        size, name = struct.unpack_from(">I4s", data, at)
        if size == 1:
            size = struct.unpack_from(">Q", data, at + 8)[0]
        if name == _MEDIA and not self._indexed:
            raise BadAudio("The index of this MP4 lies at its end: it can be sent as a file, not as a stream.")
        if size < 8 or size > HEADER_PATIENCE_BYTES:  # sound to the end, or damage, which the demuxer is to judge
            size = size if name == _MEDIA and size >= 8 else _TO_THE_END
        elif name != _MEDIA and size > len(data) - at:
            return False
        self._indexed = self._indexed or name == _INDEX
        self._open_bytes = size
        return True
