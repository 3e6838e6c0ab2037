"""A new header in the middle of a stream: the recorder was restarted, or the client has reconnected behind a proxy.

A demuxer that is at work would take the header for damage, so the stream is cut there and a fresh one begins. Headers are
searched for instead of followed from box to box: what comes before one is often incomplete.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from app.audio.sniff import Container


@dataclass(frozen=True, slots=True)
class _Header:
    """``pattern`` needs ``length`` bytes, of which the first ``lead`` come before ``anchor``, the bytes to look for."""

    anchor: bytes
    pattern: re.Pattern[bytes]
    length: int
    lead: int = 0
    after_sound: bool = False


def _pattern(text: bytes) -> re.Pattern[bytes]:
    return re.compile(text, re.DOTALL)


_EBML_SIZE: Final = rb"(?:[\x80-\xff]|[\x40-\x7f].|[\x20-\x3f].{2}|[\x10-\x1f].{3}|\x01.{7})"

_HEADERS: Final = {
    # The header's size in one to eight bytes, then one of the elements it holds: by chance once in 10^15 bytes.
    Container.MATROSKA: _Header(
        b"\x1aE\xdf\xa3", _pattern(rb"\x1aE\xdf\xa3" + _EBML_SIZE + rb"B[\x82\x85-\x87\xf2\xf3\xf7]"), 14
    ),
    Container.MP4: _Header(b"ftyp", _pattern(rb"\0\0[\0-\x03].ftyp[ -~]{4}"), 12, lead=4),
    Container.WAV: _Header(b"RIFF", _pattern(rb"RIFF.{4}WAVE"), 12),
    Container.FLAC: _Header(b"fLaC", _pattern(rb"fLaC[\0\x80]\0\0\x22"), 8),
    # First page of a logical stream. Several at the start belong together, so one counts only behind sound.
    Container.OGG: _Header(b"OggS", _pattern(rb"OggS\0[\x02\x06].{12}\0\0\0\0"), 22, after_sound=True),
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of a stream; ``begins``: with a header, at which a new part begins (``after_sound``: only behind sound)."""

    data: bytes
    begins: bool = False
    after_sound: bool = False


class RestartFinder:
    """Cuts the bytes of one connection at every new header of its container, wherever messages end.

    The last few bytes are held back only while they look like the beginning of a header.
    """

    def __init__(self, container: Container) -> None:
        self._header = _HEADERS.get(container)
        self._held = b""
        self._past = b""  # bytes already passed on that may belong to a header's lead
        self._offset = 0  # of the first byte of ``_past``, in the stream

    def split(self, data: bytes) -> Iterator[Stretch]:
        """What can be passed on of ``data``, cut at headers. The first header of all is no restart."""
        header = self._header
        if header is None:
            yield Stretch(data)
            return
        data = self._past + self._held + data
        begin, at = len(self._past), len(self._past)
        starts = False
        while (at := data.find(header.anchor, at)) >= 0:
            first = at - header.lead
            if len(data) - first < header.length:
                break
            if first >= 0 and self._offset + first > 0 and header.pattern.match(data, first):
                yield Stretch(data[begin:first], starts, header.after_sound)
                begin, starts = first, True
            at += len(header.anchor)
        end = at if at >= 0 else len(data) - _partial(data, header.anchor)
        end = max(begin, end - header.lead if end < len(data) else end)
        yield Stretch(data[begin:end], starts, header.after_sound)
        passed = max(0, end - header.lead)
        self._past, self._held = data[passed:end], data[end:]
        self._offset += passed

    def flush(self) -> bytes:
        """What was held back."""
        held, self._held = self._held, b""
        return held


def _partial(data: bytes, anchor: bytes) -> int:
    """How many bytes at the end of ``data`` are the beginning of ``anchor``."""
    return next((count for count in range(len(anchor) - 1, 0, -1) if data.endswith(anchor[:count])), 0)
