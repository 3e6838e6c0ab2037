from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from app.audio.convert import PcmReader, Resampler, check_sample_rate, finite
from app.domain.audio import AudioFormat
from app.domain.errors import BadAudio
from tests.support import encode
from tests.support.clips import sweeps

EVERY_BYTE = bytes(range(256))


@pytest.mark.parametrize(("encoding", "subtype"), [("mulaw", "ULAW"), ("alaw", "ALAW")])
def test_g711_tables_agree_with_libsndfile_on_every_code(encoding: str, subtype: str) -> None:
    import io

    import soundfile

    reference = soundfile.read(
        io.BytesIO(EVERY_BYTE), dtype="float32", format="RAW", subtype=subtype, samplerate=8_000, channels=1
    )[0]
    assert np.array_equal(PcmReader(AudioFormat(encoding, 8_000)).feed(EVERY_BYTE)[0], reference)


def test_linear16_is_signed_little_endian_and_full_scale_is_one() -> None:
    samples = PcmReader(AudioFormat("linear16", 8_000)).feed(b"\x00\x80\xff\x7f\x01\x00")
    assert samples.tolist() == [[-1.0, 32_767 / 32_768, 1 / 32_768]]


def test_channels_are_taken_apart() -> None:
    reader = PcmReader(AudioFormat("linear32", 8_000, channels=2))
    assert reader.feed(np.array([1, 2, 3, 4], "<f4").tobytes()).tolist() == [[1, 3], [2, 4]]


@given(
    st.sampled_from(["linear16", "linear32", "mulaw", "alaw"]),
    st.integers(1, 3),
    st.binary(max_size=200),
    st.lists(st.integers(0, 9), min_size=1, max_size=8).filter(any),
)
def test_any_split_of_the_bytes_gives_the_same_samples(encoding: str, channels: int, data: bytes, cuts: list[int]) -> None:
    whole = PcmReader(AudioFormat(encoding, 8_000, channels)).feed(data)
    reader, pieces, at, turn = PcmReader(AudioFormat(encoding, 8_000, channels)), [], 0, 0
    while at < len(data):
        size = cuts[turn % len(cuts)]
        pieces.append(reader.feed(data[at : at + size]))
        at, turn = at + size, turn + 1
    split = np.concatenate([whole[:, :0], *pieces], axis=1)
    assert np.array_equal(split, whole)
    frame_bytes = {"linear16": 2, "linear32": 4}.get(encoding, 1) * channels
    assert reader.pending_bytes == len(data) % frame_bytes


def test_encodings_with_frames_of_their_own_are_refused() -> None:
    assert not PcmReader.reads("opus")
    with pytest.raises(BadAudio, match="opus"):
        PcmReader(AudioFormat("opus", 48_000))


def test_values_that_are_no_sound_become_silence_and_clipping_stays() -> None:
    odd = np.array([[np.nan, -np.inf, 3e38, 1.7, -0.2]], np.float32)
    assert finite(odd).tolist() == [[0.0, 0.0, 0.0, np.float32(1.7), np.float32(-0.2)]]


@pytest.mark.parametrize("rate", [0, -8_000, 1, 999, 384_001])
def test_impossible_rates_are_refused(rate: int) -> None:
    with pytest.raises(BadAudio, match="384000"):
        check_sample_rate(rate)


@pytest.mark.parametrize("rate", [1_000, 8_000, 11_025, 44_100, 48_000, 384_000])
@pytest.mark.parametrize("block", [1_000, 7_777])
def test_resampling_in_blocks_equals_resampling_at_once(rate: int, block: int) -> None:
    original = sweeps(48_000, seconds=1.0, channels=2)
    resampler = Resampler(rate, 2)
    pieces = [resampler.feed(original[:, at : at + block]) for at in range(0, original.shape[1], block)]
    joined = np.concatenate([*pieces, resampler.flush()], axis=1)
    assert joined.shape[1] == round(original.shape[1] * 16_000 / rate)
    assert np.allclose(joined, soxr.resample(original.T, rate, 16_000).T, atol=1e-5)


def test_equal_rates_pass_through_untouched() -> None:
    samples = np.frombuffer(encode.linear16(sweeps(16_000)), "<i2").astype(np.float32).reshape(1, -1)
    resampler = Resampler(16_000, 1)
    assert resampler.feed(samples) is samples
    assert resampler.flush().shape == (1, 0)
