"""What every ``ports.AudioDecoder`` promises, shown on every format the server takes."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from app.audio.decode import Decoder
from app.domain.audio import WHOLE, AudioFormat, AudioLimits, TimeRange, samples
from app.domain.errors import BadAudio, PayloadTooLarge
from app.domain.ports import AudioDecoder
from tests.support import encode
from tests.support.clips import AUDIO, likeness, noise, sweeps

LIMITS = AudioLimits(max_seconds=60)


@pytest.fixture(params=[Decoder], ids=["decoder"])
def decoder(request: pytest.FixtureRequest) -> AudioDecoder:
    return request.param()


def decode(
    decoder: AudioDecoder, file: bytes, declared: AudioFormat | None = None, part: TimeRange = WHOLE
) -> NDArray[np.float32]:
    with decoder.open(io.BytesIO(file), declared, LIMITS, part) as recording:
        blocks = list(recording.blocks())
    assert all(block.dtype == np.float32 and block.shape[0] == recording.channels for block in blocks)
    return np.concatenate(blocks, axis=1)


def assert_same_sound(pcm: NDArray[np.float32], channels: int, *, alike: float, within_s: float = 0.03) -> None:
    """Right length, and every channel is most like its own original."""
    originals = sweeps(16_000, channels=channels)
    assert pcm.shape[0] == channels
    assert pcm.shape[1] / 16_000 == pytest.approx(1.5, abs=within_s)
    for index, channel in enumerate(pcm):
        measured = [likeness(channel, original) for original in originals]
        assert measured[index] == max(measured)
        assert measured[index] > alike


@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "MS_ADPCM", "IMA_ADPCM", "GSM610"]
)
def test_wav_of_every_width(decoder: AudioDecoder, subtype: str) -> None:
    file = encode.sndfile(sweeps(16_000), 16_000, "WAV", subtype)
    within_s = 0.15 if "ADPCM" in subtype else 0.03  # its blocks are filled up
    assert_same_sound(decode(decoder, file), 1, alike=0.9 if subtype == "GSM610" else 0.995, within_s=within_s)


@pytest.mark.parametrize(
    ("container", "subtype", "rate", "alike"),
    [
        ("WAVEX", "PCM_24", 44_100, 0.999),
        ("RF64", "PCM_16", 44_100, 0.999),
        ("W64", "PCM_16", 44_100, 0.999),
        ("AIFF", "PCM_16", 44_100, 0.999),
        ("AIFF", "FLOAT", 44_100, 0.999),
        ("AU", "ULAW", 8_000, 0.99),
        ("CAF", "PCM_16", 48_000, 0.999),
        ("FLAC", "PCM_16", 44_100, 0.999),
        ("FLAC", "PCM_24", 96_000, 0.999),
        ("OGG", "VORBIS", 44_100, 0.99),
        ("OGG", "OPUS", 48_000, 0.99),
        ("MP3", "MPEG_LAYER_III", 44_100, 0.99),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_files_of_sound_libraries(
    decoder: AudioDecoder, container: str, subtype: str, rate: int, alike: float, channels: int
) -> None:
    file = encode.sndfile(sweeps(rate, channels=channels), rate, container, subtype)
    assert_same_sound(decode(decoder, file), channels, alike=alike)


@pytest.mark.parametrize(
    ("container", "codec", "rate", "channels", "video"),
    [
        ("ipod", "aac", 44_100, 2, False),
        ("ipod", "alac", 44_100, 2, False),
        ("mp4", "aac", 48_000, 2, True),
        ("mov", "aac", 48_000, 1, True),
        ("mov", "pcm_s16le", 48_000, 2, True),
        ("webm", "libopus", 48_000, 2, False),
        ("3gp", "libopencore_amrnb", 8_000, 1, False),
        ("amr", "libopencore_amrnb", 8_000, 1, False),
        ("asf", "wmav2", 44_100, 2, False),
        ("adts", "aac", 44_100, 2, False),
        ("mp3", "libmp3lame", 22_050, 2, False),
        ("mp2", "mp2", 44_100, 2, False),
        ("avi", "mp2", 44_100, 2, True),
        ("flv", "libmp3lame", 44_100, 2, False),
        ("mpegts", "aac", 48_000, 2, False),
        ("mpeg", "mp2", 48_000, 2, True),
        ("ac3", "ac3", 48_000, 2, False),
        ("wv", "wavpack", 44_100, 2, False),
        ("tta", "tta", 44_100, 2, False),
        ("caf", "alac", 44_100, 2, False),
        ("wav", "libmp3lame", 44_100, 1, False),
    ],
)
def test_files_of_players_and_cameras(
    decoder: AudioDecoder, container: str, codec: str, rate: int, channels: int, video: bool
) -> None:
    file = encode.libav(sweeps(rate, channels=channels), rate, container, codec, video=video)
    assert_same_sound(decode(decoder, file), channels, alike=0.97, within_s=0.05)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 384_000])
def test_every_rate_arrives_as_16_khz(decoder: AudioDecoder, rate: int) -> None:
    file = encode.sndfile(sweeps(rate), rate, "WAV", "PCM_16")
    assert_same_sound(decode(decoder, file), 1, alike=0.999, within_s=0.0005)


@pytest.mark.parametrize("channels", [1, 2, 6, 20])
def test_channels_stay_in_order(decoder: AudioDecoder, channels: int) -> None:
    file = encode.sndfile(sweeps(16_000, channels=channels), 16_000, "WAV", "PCM_16")
    assert_same_sound(decode(decoder, file), channels, alike=0.999)


def test_too_many_channels_are_bad_audio_that_names_the_limit(decoder: AudioDecoder) -> None:
    file = encode.sndfile(sweeps(16_000, channels=21), 16_000, "WAV", "PCM_16")
    with pytest.raises(BadAudio, match="21 channels; at most 20"):
        decode(decoder, file)


def test_the_source_s_own_rate_and_channels_are_told(decoder: AudioDecoder) -> None:
    file = encode.sndfile(sweeps(44_100, channels=2), 44_100, "FLAC", "PCM_16")
    with decoder.open(io.BytesIO(file), None, LIMITS) as recording:
        assert (recording.channels, recording.sample_rate) == (2, 44_100)


@pytest.mark.parametrize("name", ["hello-world.wav", "hello-world.mp3", "hello-world.opus"])
def test_one_recording_in_three_formats_sounds_the_same(decoder: AudioDecoder, name: str) -> None:
    original = decode(decoder, (AUDIO / "hello-world.wav").read_bytes())[0]
    decoded = decode(decoder, (AUDIO / name).read_bytes())[0]
    assert len(decoded) / 16_000 == pytest.approx(1.303, abs=0.03)
    assert likeness(decoded, original) > 0.97


def test_names_of_files_mean_nothing(decoder: AudioDecoder, tmp_path) -> None:
    path = tmp_path / "speech.raw"  # libsndfile would take the name's word for it
    path.write_bytes(encode.sndfile(sweeps(16_000), 16_000, "FLAC", "PCM_16"))
    with path.open("rb") as source, decoder.open(source, None, LIMITS) as recording:
        assert sum(block.shape[1] for block in recording.blocks()) == 24_000


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("linear16", lambda s: encode.linear16(s)),
        ("linear32", lambda s: s.T.astype("<f4").tobytes()),
        ("mulaw", lambda s: encode.sndfile(s, 16_000, "RAW", "ULAW")),
        ("alaw", lambda s: encode.sndfile(s, 16_000, "RAW", "ALAW")),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_headerless_samples_are_read_as_declared(decoder: AudioDecoder, encoding: str, data, channels: int) -> None:
    pcm = decode(decoder, data(sweeps(16_000, channels=channels)), AudioFormat(encoding, 16_000, channels))
    assert_same_sound(pcm, channels, alike=0.995)


def test_headerless_amr_frames_are_read_as_declared(decoder: AudioDecoder) -> None:
    file = encode.libav(sweeps(8_000), 8_000, "amr", "libopencore_amrnb")
    assert_same_sound(decode(decoder, file[len(b"#!AMR\n") :], AudioFormat("amr-nb", 8_000)), 1, alike=0.97)


def test_headerless_g729_frames_are_read_as_declared(decoder: AudioDecoder) -> None:
    frames = np.random.default_rng(1).integers(0, 256, 1000, dtype=np.uint8).tobytes()  # any ten bytes are a frame of 10 ms
    assert decode(decoder, frames, AudioFormat("g729", 8_000)).shape == (1, 16_000)


@pytest.mark.parametrize("encoding", ["opus", "speex"])
def test_packets_without_lengths_are_refused_with_advice(decoder: AudioDecoder, encoding: str) -> None:
    with pytest.raises(BadAudio, match=f"{encoding} can be read only inside"):
        decode(decoder, noise(1).tobytes(), AudioFormat(encoding, 16_000))


def test_a_recognised_container_wins_over_the_declared_encoding(decoder: AudioDecoder) -> None:
    file = encode.sndfile(sweeps(44_100, channels=2), 44_100, "WAV", "PCM_16")
    assert_same_sound(decode(decoder, file, AudioFormat("mulaw", 8_000)), 2, alike=0.999)


def test_blocks_are_bounded_and_join_without_seams(decoder: AudioDecoder) -> None:
    original = noise(96, rms=0.1).reshape(2, -1)  # 16 s a channel at 48 kHz, twice
    original = np.concatenate([original, original], axis=1)
    with decoder.open(io.BytesIO(encode.linear16(original)), AudioFormat("linear16", 48_000, 2), LIMITS) as recording:
        blocks = list(recording.blocks())
    assert len(blocks) > 3
    assert max(block.shape[1] for block in blocks) <= 11 * 16_000
    joined = np.concatenate(blocks, axis=1)
    assert joined.shape == (2, 32 * 16_000)
    at_once = soxr.resample(encode.from_linear16(encode.linear16(original), 2), 48_000, 16_000)
    assert np.abs(joined.T - at_once).max() < 1e-4


@pytest.mark.parametrize("container", ["FLAC", "WAV"])
def test_decoding_stops_at_the_limit_on_seconds(decoder: AudioDecoder, container: str) -> None:
    bomb = encode.sndfile(np.zeros((1, 16_000 * 90), np.float32), 16_000, container, "PCM_16")
    decoded: list[int] = []
    with decoder.open(io.BytesIO(bomb), None, AudioLimits(max_seconds=30)) as recording:
        lengths = (block.shape[1] for block in recording.blocks())
        with pytest.raises(PayloadTooLarge, match="longer than 30 seconds"):
            decoded.extend(lengths)  # keeps what came before the error
    assert 10 * 16_000 < sum(decoded) <= 30 * 16_000


def test_a_recording_of_exactly_the_limit_is_taken(decoder: AudioDecoder) -> None:
    file = encode.sndfile(np.zeros((1, 16_000 * 3), np.float32), 16_000, "WAV", "PCM_16")
    with decoder.open(io.BytesIO(file), None, AudioLimits(max_seconds=3)) as recording:
        assert sum(block.shape[1] for block in recording.blocks()) == 48_000


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100])
@pytest.mark.parametrize(("start_s", "duration_s"), [(0.0, 3.0), (3.3, 4.123), (11.037, None), (24.9, 5.0), (0.01, 0.02)])
def test_a_part_is_what_the_whole_has_there(
    decoder: AudioDecoder, rate: int, start_s: float, duration_s: float | None
) -> None:
    file = encode.sndfile(noise(25 * rate / 16_000, rms=0.1).reshape(1, -1), rate, "WAV", "PCM_16")
    start, end = samples(start_s), None if duration_s is None else samples(start_s) + samples(duration_s)
    part = decode(decoder, file, part=TimeRange(start_s, duration_s))
    assert np.abs(part - decode(decoder, file)[:, start:end]).max() < 1e-6


def test_a_part_behind_the_end_is_empty(decoder: AudioDecoder) -> None:
    file = encode.sndfile(sweeps(16_000), 16_000, "WAV", "PCM_16")
    with decoder.open(io.BytesIO(file), None, LIMITS, TimeRange(10.0, 1.0)) as recording:
        assert list(recording.blocks()) == []


def test_what_is_passed_over_counts_for_the_limit(decoder: AudioDecoder) -> None:
    bomb = encode.sndfile(np.zeros((1, 16_000 * 90), np.float32), 16_000, "FLAC", "PCM_16")
    with (
        decoder.open(io.BytesIO(bomb), None, AudioLimits(max_seconds=30), TimeRange(80.0)) as recording,
        pytest.raises(PayloadTooLarge),
    ):
        list(recording.blocks())


def test_values_that_are_no_sound_become_silence(decoder: AudioDecoder) -> None:
    samples = np.array([0.5, np.nan, np.inf, -np.inf, 1e30, -1.5], "<f4")
    pcm = decode(decoder, encode.wav(samples.tobytes(), tag=3, bits=32))
    assert pcm[0].tolist() == [0.5, 0.0, 0.0, 0.0, 0.0, -1.5]


def test_flac_from_a_pipe_is_read_to_its_last_sample(decoder: AudioDecoder) -> None:
    original = sweeps(16_000, channels=1)
    file = bytearray(encode.sndfile(original, 16_000, "FLAC", "PCM_16"))
    file[21:26] = bytes([file[21] & 0xF0, 0, 0, 0, 0])  # STREAMINFO's length, unknown as encoders leave it
    assert decode(decoder, bytes(file)).shape == original.shape
