"""WAV headers as they are met in the wild, repaired before a decoder reads them.

A program that writes into a pipe cannot know the length, so it leaves 0 or 0xFFFFFFFF in the header; a cut file promises
more than it has. The samples decide: everything from the data chunk on that is there counts.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from app.audio.source import ByteView
from app.domain.errors import BadAudio

_UNKNOWN_SIZES = (0, 0xFFFFFFFF)
_LARGEST_SIZE = 0xFFFFFF00  # what the rebuilt 32-bit header can say
_MAX_CHUNKS = 1000  # before the data; real files have a handful, and a crafted one must not keep us walking
_TRAILERS = (b"LIST", b"id3 ", b"ID3 ", b"JUNK", b"bext", b"fact", b"cue ", b"PEAK", b"iXML", b"smpl", b"_PMX")


@dataclass(frozen=True, slots=True)
class WavLayout:
    """Where things are: the ``fmt`` and ``fact`` payloads, and offset and length of the samples in bytes."""

    fmt: bytes
    fact: bytes
    data_offset: int
    data_bytes: int


def repaired(source: BinaryIO, size: int) -> ByteView | None:
    """``source`` (``size`` bytes, starting with a WAV header) under a header that tells the truth.

    None when the file is big-endian (RIFX), which decoders read as it is. Raises ``BadAudio`` without format or samples.
    """
    source.seek(0)
    if source.read(4) == b"RIFX":
        return None
    layout = find_samples(source, size)
    chunks = _chunk(b"fmt ", layout.fmt) + (_chunk(b"fact", layout.fact) if layout.fact else b"")
    data_bytes = min(layout.data_bytes, _LARGEST_SIZE - len(chunks))
    body = b"WAVE" + chunks + struct.pack("<4sI", b"data", data_bytes)
    prefix = struct.pack("<4sI", b"RIFF", len(body) + data_bytes) + body
    return ByteView(source, layout.data_offset, data_bytes, prefix)


def holds_mp3(repaired_file: ByteView) -> bool:
    """Whether the samples under a rebuilt header are MP3 frames."""
    repaired_file.seek(20)  # behind RIFF, its size, WAVE, the format chunk's name and size
    return repaired_file.read(2) == b"\x55\0"


def find_samples(source: BinaryIO, size: int) -> WavLayout:
    """Walk the chunks of a little-endian WAV file. Raises ``BadAudio`` without format or samples."""
    fmt = fact = b""
    true_size = 0  # RF64 keeps the sizes that need 64 bits in a chunk of their own
    at = 12
    for _ in range(_MAX_CHUNKS):
        source.seek(at)
        header = source.read(8)
        if len(header) < 8:
            break
        name, length = struct.unpack("<4sI", header)
        at += 8
        if name == b"data":
            if len(fmt) < 16:
                break
            present = _present_bytes(source, at, length, true_size, size)
            if present == 0:
                raise BadAudio("The WAV file has a header and no samples.")
            return WavLayout(_consistent(fmt), fact, at, present)
        payload = source.read(min(length, 4096))
        if name == b"fmt ":
            fmt = payload
        elif name == b"fact" and len(payload) >= 4 and struct.unpack("<I", payload[:4])[0] not in _UNKNOWN_SIZES:
            fact = payload[:4]
        elif name == b"ds64" and len(payload) >= 16:
            true_size = struct.unpack("<Q", payload[8:16])[0]
        at += length + length % 2
    raise BadAudio("The WAV header is damaged: it names no format, or no samples.")


def _present_bytes(source: BinaryIO, at: int, declared: int, true_size: int, size: int) -> int:
    available = size - at
    if declared == 0xFFFFFFFF and 0 < true_size <= available:
        return true_size
    if declared == 0 and _is_trailer(source.read(8), available):
        return 0
    return available if declared in _UNKNOWN_SIZES or declared > available else declared


def _is_trailer(header: bytes, available: int) -> bool:
    # After an honest length of 0 comes another chunk, not sound.
    if len(header) < 8 or header[:4] not in _TRAILERS:
        return False
    return bool(8 + struct.unpack("<I", header[4:])[0] <= available)


def _consistent(fmt: bytes) -> bytes:
    """For plain samples, frame and byte rate follow from the other fields: work them out, whatever the header says."""
    tag, channels, rate, _, _, bits = struct.unpack("<HHIIHH", fmt[:16])
    plain = tag in (1, 3, 6, 7) or (tag == 0xFFFE and len(fmt) >= 26 and fmt[24] in (1, 3, 6, 7) and fmt[25] == 0)
    frame = channels * ((bits + 7) // 8)
    if not plain or not 0 < frame <= 0xFFFF or rate * frame > 0xFFFFFFFF:
        return fmt
    return struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits) + fmt[16:]


def _chunk(name: bytes, payload: bytes) -> bytes:
    return struct.pack("<4sI", name, len(payload)) + payload + b"\0" * (len(payload) % 2)
