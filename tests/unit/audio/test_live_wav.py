"""WAV headers that do not know, or do not tell, how much is coming."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from app.domain.audio import AudioFormat
from app.domain.errors import BadAudio
from tests.support import encode
from tests.support.clips import sweeps
from tests.support.live_media import cut, decoded

SAMPLES = sweeps(16_000, 0.2)
DATA = encode.linear16(SAMPLES)
HEARD = encode.from_linear16(DATA, 1).T
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"a program here"


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFDB, 2**31 - 2**12])
def test_an_unknown_length_means_all_that_comes(size: int) -> None:
    assert np.array_equal(decoded(cut(encode.wav(DATA, data_size=size), 77)), HEARD)


def test_a_length_that_is_too_short_is_not_believed() -> None:
    """Recorders that send the header of their first buffer go on with bare samples."""
    assert np.array_equal(decoded(cut(encode.wav(DATA, data_size=1000), 77)), HEARD)


@pytest.mark.parametrize("cut_size", [1, 50, 100_000])
def test_chunks_behind_the_samples_are_no_sound(cut_size: int) -> None:
    assert np.array_equal(decoded(cut(encode.wav(DATA) + LIST + LIST, cut_size)), HEARD)


@pytest.mark.parametrize("cut_size", [1, 50, 100_000])
def test_chunks_before_the_samples_are_skipped(cut_size: int) -> None:
    file = encode.wav(DATA)
    assert np.array_equal(decoded(cut(file[:12] + LIST + file[12:36] + LIST + file[36:], cut_size)), HEARD)


def test_sound_is_there_as_soon_as_its_bytes_are() -> None:
    file = encode.wav(DATA, data_size=0xFFFFFFFF)
    assert decoded([file[: 44 + 640]]).shape == (1, 320)


def test_declared_samples_are_taken_at_the_rate_of_the_header() -> None:
    half_rate = encode.wav(DATA, rate=8000)
    assert decoded([half_rate], AudioFormat("linear16", 16_000)).shape[1] == 2 * SAMPLES.shape[1]


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_sample_format_is_read(subtype: str, channels: int) -> None:
    original = sweeps(16_000, 0.2, channels)
    heard = decoded(cut(encode.sndfile(original, 16_000, "WAV", subtype), 501))
    assert heard.shape == original.shape
    assert np.abs(heard - original).max() < 0.03


def test_big_endian_files_are_read() -> None:
    file = encode.sndfile(SAMPLES, 16_000, "WAV", "PCM_16")
    fmt = struct.unpack("<HHIIHH", file[20:36])
    swapped = np.frombuffer(DATA, "<i2").astype(">i2").tobytes()
    rifx = b"RIFX" + struct.pack(">I", 36 + len(swapped)) + b"WAVEfmt " + struct.pack(">IHHIIHH", 16, *fmt)
    assert np.array_equal(decoded(cut(rifx + b"data" + struct.pack(">I", len(swapped)) + swapped, 333)), HEARD)


@pytest.mark.parametrize(
    "file",
    [
        encode.wav(DATA, channels=0, bits=16),
        encode.wav(DATA, rate=0),
        encode.wav(DATA)[:12] + encode.wav(DATA)[36:],
    ],
    ids=["no-channels", "no-rate", "no-format"],
)
def test_an_impossible_header_is_refused(file: bytes) -> None:
    with pytest.raises(BadAudio):
        decoded(cut(file, 100))


def test_a_header_that_never_ends_is_refused() -> None:
    endless = b"RIFF\xff\xff\xff\xffWAVE" + b"JUNK" + struct.pack("<I", 1 << 30)
    with pytest.raises(BadAudio):
        decoded(cut(endless + bytes(3 << 20), 1 << 18))
