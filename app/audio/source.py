"""The bytes of an upload as decoding libraries may see them: nameless, read-only, and possibly only a part."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import BinaryIO, Protocol

from app.audio.convert import Samples


class ByteView(io.RawIOBase):
    """``prefix`` followed by ``length`` bytes of ``source`` from ``offset`` on, as a file of its own.

    Decoders get this and never the source: a file object's ``name`` would tell them a format, and its end a size, that the
    client chose. The source is read by one view at a time and stays open when the view is closed.
    """

    def __init__(self, source: BinaryIO, offset: int, length: int, prefix: bytes = b"") -> None:
        super().__init__()
        self._source = source
        self._offset = offset
        self._prefix = prefix
        self._size = len(prefix) + length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # typed as Buffer only from Python 3.12 on
        data = self._piece(len(target))
        target[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _piece(self, count: int) -> bytes:
        if self._at < len(self._prefix):
            return self._prefix[self._at : self._at + count]
        count = min(count, self._size - self._at)
        if count <= 0:
            return b""
        self._source.seek(self._offset + self._at - len(self._prefix))
        return self._source.read(count)


class Track(Protocol):
    """An opened source of samples. ``pieces`` ends at the first error after sound, and raises ``BadAudio`` before any.

    ``pieces`` yields float32 of shape ``(channels, n)`` at ``sample_rate``; each is bounded and none is empty.
    """

    channels: int
    sample_rate: int

    def pieces(self) -> Iterator[Samples]: ...

    def close(self) -> None: ...
