"""MP4 by whole boxes."""

from __future__ import annotations

import struct

import pytest

from app.audio.live_mp4 import Mp4Part
from app.domain.errors import BadAudio
from tests.support import encode
from tests.support.clips import likeness, sweeps
from tests.support.live_media import FRAGMENTS, cut, decoded, muxed


def box(name: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), name) + payload


def test_a_file_with_its_index_in_front_is_heard() -> None:
    file = encode.libav(sweeps(48_000, 0.5), 48_000, "mp4", "aac")
    index = file.index(b"moov") - 4
    size = int.from_bytes(file[index : index + 4], "big")
    movie = file[index : index + size]
    table = movie.index(b"stco") + 12
    for at in range(table, table + 4 * int.from_bytes(movie[table - 4 : table], "big"), 4):
        moved = int.from_bytes(movie[at : at + 4], "big") + size
        movie = movie[:at] + moved.to_bytes(4, "big") + movie[at + 4 :]
    brand = int.from_bytes(file[:4], "big")
    fast_start = file[:brand] + movie + file[brand:index] + file[index + size :]
    for step in (1, 500, 100_000):
        assert likeness(decoded(cut(fast_start, step))[0], sweeps(16_000, 0.5)[0], reach=2000) > 0.99


def test_sizes_of_64_bits_are_read() -> None:
    stream = muxed(sweeps(48_000, 0.5), 48_000, "mp4", "aac", FRAGMENTS)
    large, at = b"", 0
    while at < len(stream):
        size, name = struct.unpack_from(">I4s", stream, at)
        whole = stream[at : at + size]
        large += struct.pack(">I4sQ", 1, b"free", 16 + 5) + bytes(5) + whole if name == b"moof" else whole
        at += size
    assert decoded(cut(large, 7)).shape == decoded([stream]).shape


def test_damage_goes_to_the_demuxer_and_not_into_memory() -> None:
    head = box(b"ftyp", b"iso5\0\0\2\0iso5")
    with pytest.raises(BadAudio):
        decoded(cut(head + struct.pack(">I4s", 0x7FFFFFFF, b"moov") + bytes(5 << 20), 1 << 18))


def test_sound_before_any_index_is_refused() -> None:
    part = Mp4Part()
    with pytest.raises(BadAudio, match="index"):
        list(part.feed(box(b"ftyp", b"iso5\0\0\2\0") + box(b"mdat", bytes(100))))
    part.close()
