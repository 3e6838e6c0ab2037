"""FLAC frame by frame, without the ten frames of delay that FFmpeg's parser has."""

from __future__ import annotations

import numpy as np
import pytest

from app.domain.audio import AudioFormat
from tests.support import encode
from tests.support.clips import noise, sweeps
from tests.support.live_media import cut, decoded, muxed, opened

FLAC = AudioFormat("flac", 16_000)
ORIGINAL = sweeps(16_000, 2.0)
FILE = encode.sndfile(ORIGINAL, 16_000, "FLAC", "PCM_16")
HEARD = encode.from_linear16(encode.linear16(ORIGINAL), 1).T
BLOCK = 4096


def frames_begin() -> list[int]:
    begins, at = [], 0
    while (at := FILE.find(b"\xff\xf8", at)) >= 0:
        begins.append(at)
        at += 1
    return begins


def test_a_frame_is_heard_with_its_last_byte() -> None:
    """Nothing has to follow: its checksum says that it is whole."""
    second, third = frames_begin()[1:3]
    with opened() as decoder:
        assert sum(decoder.feed(message).shape[1] for message in cut(FILE[: second - 1], 100)) == 0
        assert decoder.feed(FILE[second - 1 : second]).shape[1] == BLOCK
        assert decoder.feed(FILE[second : third - 1]).shape[1] == 0
        assert decoder.feed(FILE[third - 1 : third]).shape[1] == BLOCK


def test_samples_come_out_as_they_went_in() -> None:
    assert np.abs(decoded(cut(FILE, 333)) - HEARD).max() <= 1 / 32_768


def test_loud_noise_is_not_taken_for_headers() -> None:
    """Incompressible sound: the frames hold whatever bytes there are."""
    loud = noise(5.0, rms=0.3).clip(-0.99, 0.99)[None]
    heard = decoded(cut(encode.sndfile(loud, 16_000, "FLAC", "PCM_24"), 1000))
    assert heard.shape == loud.shape
    assert np.abs(heard - loud).max() < 1e-6


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 96_000])
def test_every_rate_and_two_channels_are_read(rate: int) -> None:
    file = encode.sndfile(sweeps(rate, 1.0, 2), rate, "FLAC", "PCM_24")
    heard = decoded(cut(file, 701))
    assert heard.shape[0] == 2
    assert heard.shape[1] == pytest.approx(16_000, abs=1)


def test_pictures_in_the_metadata_are_skipped() -> None:
    picture = bytes([6]) + (300_000).to_bytes(3, "big") + b"\xff\xf8" * 150_000
    assert np.array_equal(decoded(cut(FILE[:42] + picture + FILE[42:], 5000)), decoded([FILE]))


def test_a_declared_stream_may_begin_in_its_middle() -> None:
    begin = frames_begin()[2]
    for start in (begin, begin - 500):
        heard = decoded(cut(FILE[start:], 400), FLAC)
        assert np.abs(heard - HEARD[:, -heard.shape[1] :]).max() <= 1 / 32_768
        assert heard.shape[1] == ORIGINAL.shape[1] - 2 * BLOCK


def test_a_hole_costs_the_frames_it_touches() -> None:
    second = frames_begin()[1]
    holed = FILE[: second + 300] + FILE[second + 900 :]
    assert decoded(cut(holed, 250)).shape[1] == pytest.approx(ORIGINAL.shape[1] - BLOCK, abs=BLOCK)


def test_a_new_header_begins_a_new_stream() -> None:
    assert np.array_equal(decoded(cut(FILE[:-100] + FILE, 512))[:, -ORIGINAL.shape[1] :], decoded([FILE]))


def test_a_file_written_into_a_pipe_is_read_to_its_end() -> None:
    """It does not know how many samples it has."""
    piped = muxed(ORIGINAL, 16_000, "flac", "flac")
    assert decoded(cut(piped, 512)).shape == ORIGINAL.shape
