"""What a file is, from its first bytes alone. Names, content types and declared encodings are never asked."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import chain

SNIFF_BYTES = 65_536
"""Bytes a caller should offer: an MPEG stream cut out of a broadcast may need this much to find its first whole frame."""

_FrameParser = Callable[[bytes], tuple[int, int]]
_SYNC = re.compile(rb"\xff|\x0b\x77")


class Container(str, Enum):
    """The wrapping around the samples. Self-describing streams without a wrapping (MP3, ADTS, AC-3) count as one."""

    WAV = "wav"
    W64 = "w64"
    AIFF = "aiff"
    AU = "au"
    CAF = "caf"
    FLAC = "flac"
    OGG = "ogg"
    MP3 = "mp3"
    AAC = "aac"
    AC3 = "ac3"
    AMR = "amr"
    MP4 = "mp4"
    MATROSKA = "matroska"
    ASF = "asf"
    AVI = "avi"
    FLV = "flv"
    MPEG_TS = "mpegts"
    MPEG_PS = "mpeg"
    WAVPACK = "wv"
    APE = "ape"
    TTA = "tta"


_MAGIC: tuple[tuple[bytes, Container], ...] = (
    (b"fLaC", Container.FLAC),
    (b"OggS", Container.OGG),
    (b"#!AMR\n", Container.AMR),
    (b"#!AMR-WB\n", Container.AMR),
    (b"\x1a\x45\xdf\xa3", Container.MATROSKA),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), Container.ASF),
    (b"caff\x00\x01", Container.CAF),
    (b".snd", Container.AU),
    (b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", Container.W64),
    (b"FLV\x01", Container.FLV),
    (b"\x00\x00\x01\xba", Container.MPEG_PS),
    (b"wvpk", Container.WAVPACK),
    (b"MAC ", Container.APE),
    (b"TTA1", Container.TTA),
)

_MP4_BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"sidx", b"moof", b"pnot"))

_MPEG_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}  # ISO 11172-3 and 13818-3: (1 for MPEG-1, else 2; layer) -> bit rate by index 1..14
_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def sniff(head: bytes, *, search: bool = True) -> Container | None:
    """Name the container of a file that begins with ``head`` (up to ``SNIFF_BYTES``), or None.

    Streams of bare frames have no signature, only sync words, which random bytes hold too: they count when three frames
    follow one another, each where the one before says. With ``search`` such a chain may also begin later, as in a stream
    recorded from its middle. An ID3 tag in front must be skipped first (``id3_bytes``).
    """
    for magic, container in _MAGIC:
        if head.startswith(magic):
            return container
    return _sniff_iff(head) or _sniff_boxes(head) or _sniff_frames(head, search=search)


def id3_bytes(head: bytes) -> int:
    """Length in bytes of the ID3v2 tag at the start of ``head``, 0 if there is none."""
    if len(head) < 10 or not head.startswith(b"ID3") or max(head[6:10]) > 0x7F:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


def _sniff_iff(head: bytes) -> Container | None:
    group, form = head[:4], head[8:12]
    if group in (b"RIFF", b"RIFX", b"RF64", b"BW64") and form == b"WAVE":
        return Container.WAV
    if group == b"RIFF" and form == b"AVI ":
        return Container.AVI
    if group == b"FORM" and form in (b"AIFF", b"AIFC"):
        return Container.AIFF
    return None


def _sniff_boxes(head: bytes) -> Container | None:
    if len(head) >= 8 and head[4:8] in _MP4_BOXES:
        size = struct.unpack(">I", head[:4])[0]
        return Container.MP4 if size in (0, 1) or size >= 8 else None
    return None


def _sniff_frames(head: bytes, *, search: bool) -> Container | None:
    if all(_is_ts_packet(head[at : at + 4]) for at in (0, 188, 376)):
        return Container.MPEG_TS
    for start in chain((0,), _syncs(head) if search else ()):
        for container, frame in _FRAMES:
            if _chained(head, start, frame):
                return container
    return None


def _is_ts_packet(header: bytes) -> bool:
    # The last test keeps constant 16-bit samples out: every packet carries a payload or an adaptation field.
    return len(header) == 4 and header[0] == 0x47 and not header[1] & 0x80 and header[3] & 0x30 != 0


def _syncs(head: bytes) -> Iterator[int]:
    """Every place behind the first byte where a frame may begin, in order. One pass: there may be thousands."""
    return (found.start() for found in _SYNC.finditer(head, 1))


def _chained(head: bytes, at: int, frame: _FrameParser) -> bool:
    kinds = set()
    for _ in range(3):
        kind, size = frame(head[at : at + 8])
        if size == 0:
            return False
        kinds.add(kind)
        at += size
    # The third frame must be there to its end: a file that is cut inside its first frames is not audio.
    return len(kinds) == 1 and at <= len(head)


def _mpeg_frame(header: bytes) -> tuple[int, int]:
    """(what must not change from frame to frame, bytes) of an MPEG audio frame; 0 bytes when it is none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0, 0
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate, rate = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return 0, 0
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = 1000 * _MPEG_KBPS[1 if version == 3 else 2, layer][bitrate - 1]
    padding = header[2] >> 1 & 1
    if layer == 1:
        size = (12 * bits // hertz + padding) * 4
    else:
        size = (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding
    return version << 4 | layer << 2 | rate, size


def _adts_frame(header: bytes) -> tuple[int, int]:
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return 0, 0
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return header[2] & 0xFD, size if size > 7 else 0


def _ac3_frame(header: bytes) -> tuple[int, int]:
    if len(header) < 6 or header[:2] != b"\x0b\x77" or header[4] >> 6 == 3 or header[4] & 63 > 37 or header[5] >> 3 > 8:
        return 0, 0
    kbps, odd = _AC3_KBPS[(header[4] & 63) >> 1], header[4] & 1
    words = (2 * kbps, 320 * kbps // 147 + odd, 3 * kbps)[header[4] >> 6]
    return header[4] >> 6, 2 * words


_FRAMES: tuple[tuple[Container, _FrameParser], ...] = (
    (Container.MP3, _mpeg_frame),
    (Container.AAC, _adts_frame),
    (Container.AC3, _ac3_frame),
)
