from __future__ import annotations

import io
import struct

import pytest

from app.audio.decode import Decoder
from app.audio.wav import find_samples, repaired
from app.domain.audio import AudioLimits
from app.domain.errors import BadAudio
from tests.support import encode
from tests.support.clips import sweeps

DATA = encode.linear16(sweeps(16_000, seconds=0.5))


def decoded_samples(file: bytes) -> int:
    with Decoder().open(io.BytesIO(file), None, AudioLimits(60)) as recording:
        return sum(block.shape[1] for block in recording.blocks())


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, len(DATA) * 2], ids=["zero", "all-ones", "huge", "double"])
def test_a_size_that_was_never_filled_in_means_all_that_is_there(size: int) -> None:
    assert decoded_samples(encode.wav(DATA, data_size=size)) == 8_000


def test_a_true_size_keeps_what_follows_out() -> None:
    assert decoded_samples(encode.wav(DATA) + b"LIST\x04\0\0\0INFO") == 8_000


def test_an_honest_size_of_zero_before_a_trailer_means_no_sound() -> None:
    with pytest.raises(BadAudio, match="no samples"):
        decoded_samples(encode.wav(b"") + b"LIST\x04\0\0\0INFO")


def test_a_size_of_zero_before_sound_that_looks_like_no_trailer() -> None:
    assert decoded_samples(encode.wav(b"LIST" + b"\xff" * 1000, data_size=0)) == 502


def test_an_odd_byte_at_the_end_is_no_sample() -> None:
    assert decoded_samples(encode.wav(DATA + b"\x01")) == 8_000


def test_chunks_before_the_samples_are_passed_over() -> None:
    file = encode.wav(DATA)
    junk = b"JUNK\x05\0\0\0abcde\0" + b"bext\x02\0\0\0ab"
    assert decoded_samples(file[:12] + junk + file[12:]) == 8_000


def test_frame_and_byte_rate_are_worked_out_not_believed() -> None:
    file = bytearray(encode.wav(DATA))
    file[28:34] = struct.pack("<IH", 12345, 77)
    assert decoded_samples(bytes(file)) == 8_000


def test_the_extensible_header_is_kept() -> None:
    file = encode.sndfile(sweeps(16_000, seconds=0.5, channels=2), 16_000, "WAVEX", "PCM_24")
    layout = find_samples(io.BytesIO(file), len(file))
    assert len(layout.fmt) == 40
    assert layout.data_bytes == 8_000 * 6


def test_sizes_of_64_bits_are_read() -> None:
    file = encode.wav(DATA)
    ds64 = struct.pack("<4sI", b"ds64", 28) + struct.pack("<QQQI", 0, len(DATA), 0, 0)
    body = file[12:40] + b"\xff\xff\xff\xff" + DATA + b"LIST\x04\0\0\0INFO"
    layout = find_samples(io.BytesIO(b"RF64\xff\xff\xff\xffWAVE" + ds64 + body), 12 + len(ds64) + len(body))
    assert layout.data_bytes == len(DATA)


def test_big_endian_files_are_left_alone() -> None:
    assert repaired(io.BytesIO(b"RIFX\0\0\0\0WAVE"), 12) is None


@pytest.mark.parametrize(
    "file",
    [
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0abcddata\x04\0\0\0abcd",
        b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd",
        b"RIFF\0\0\0\0WAVE" + b"JUNK\0\0\0\0" * 5000,
    ],
    ids=["nothing", "short-format", "no-format", "endless-chunks"],
)
def test_headers_without_format_or_samples_are_refused(file: bytes) -> None:
    with pytest.raises(BadAudio, match="header is damaged"):
        find_samples(io.BytesIO(file), len(file))
