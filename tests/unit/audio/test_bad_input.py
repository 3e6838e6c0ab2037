"""Uploads that are damaged, cut, disguised or no sound at all: an ``SttError`` or the sound that is there, nothing else."""

from __future__ import annotations

import contextlib
import io
import zlib

import numpy as np
import pytest

from app.audio.decode import Decoder
from app.domain.audio import AudioFormat, AudioLimits
from app.domain.errors import BadAudio, SttError
from tests.support import encode
from tests.support.clips import sweeps

LIMITS = AudioLimits(max_seconds=30)


def decoded_seconds(file: bytes, declared: AudioFormat | None = None) -> float:
    with Decoder().open(io.BytesIO(file), declared, LIMITS) as recording:
        return sum(block.shape[1] for block in recording.blocks()) / 16_000


def made(container: str, seconds: float = 1.0) -> bytes:
    samples = sweeps(44_100, seconds)
    if container in ("WAV", "FLAC", "AIFF"):
        return encode.sndfile(samples, 44_100, container, "PCM_16")
    if container == "OGG":
        return encode.sndfile(samples, 44_100, "OGG", "VORBIS")
    codec = {"mp3": "libmp3lame", "ipod": "aac", "adts": "aac", "mpegts": "aac", "asf": "wmav2", "webm": "libopus"}[
        container
    ]
    rate = 48_000 if container == "webm" else 44_100
    return encode.libav(sweeps(rate, seconds), rate, container, codec)


FORMATS = ["WAV", "FLAC", "AIFF", "OGG", "mp3", "ipod", "adts", "mpegts", "asf", "webm"]


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"\0",
        b"just some words\n" * 200,
        b"<!doctype html><html><body>404</body></html>",
        b'{"url": "https://example.com/a.wav"}',
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"ID3\x04\0\0\0\0\0\x10" + bytes(16),
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/hostname\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        encode.wav(b""),
        encode.wav(b"")[:30],
        b"RIFF\0\0\0\0WAVE",
        b"fLaC",
        b"OggS" + bytes(100),
        b"\x1a\x45\xdf\xa3" + bytes(100),
        b"\0\0\0\x18ftypmp42" + bytes(100),
    ],
    ids=[
        "empty", "one-byte", "text", "html", "json", "picture", "only-a-tag", "hls-playlist", "concat-script",
        "wav-without-data", "half-a-wav-header", "wav-without-chunks", "flac-marker", "ogg-marker", "matroska-marker",
        "mp4-marker",
    ],
)  # fmt: skip
def test_what_is_no_sound_is_refused(file: bytes) -> None:
    with pytest.raises(BadAudio):
        decoded_seconds(file)


@pytest.mark.parametrize("seed", range(5))
def test_noise_with_sync_words_in_it_is_no_sound(seed: int) -> None:
    noise = bytearray(np.random.default_rng(seed).bytes(50_000))
    for at in range(0, 40_000, 4_000):
        noise[at : at + 4] = b"\xff\xfb\x90\x00"
    with pytest.raises(BadAudio):
        decoded_seconds(bytes(noise))


@pytest.mark.parametrize("container", ["WAV", "FLAC", "AIFF", "OGG", "mp3", "adts", "mpegts", "asf", "webm"])
def test_a_file_cut_in_the_middle_gives_its_first_half(container: str) -> None:
    file = made(container, seconds=12.0)  # an Ogg page may last two seconds, and half a page is nothing
    assert 2.0 < decoded_seconds(file[: len(file) // 2]) < 8.0


def test_an_mp4_whose_index_was_cut_off_is_refused() -> None:
    file = made("ipod")
    assert file.rfind(b"moov") > len(file) // 2  # it stands at the end
    with pytest.raises(BadAudio):
        decoded_seconds(file[: len(file) // 2])


@pytest.mark.parametrize("container", FORMATS)
def test_a_file_cut_inside_its_header_is_refused(container: str) -> None:
    with pytest.raises(BadAudio):
        decoded_seconds(made(container)[:40])


def test_an_mp3_cut_inside_its_first_frames_is_refused() -> None:
    with pytest.raises(BadAudio):
        decoded_seconds(made("mp3")[:1000])


def test_an_mp3_behind_a_large_tag_is_found() -> None:
    size = 300_000
    tag = b"ID3\x04\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + bytes(size)
    assert decoded_seconds(tag + made("mp3")) == pytest.approx(1.0, abs=0.05)


def test_a_stream_recorded_from_its_middle_is_found() -> None:
    assert 0.7 < decoded_seconds(made("mp3")[2000:]) < 1.0


def test_declared_samples_are_not_searched_for_sync_words() -> None:
    hidden = bytes(1000) + made("mp3")
    assert decoded_seconds(hidden, AudioFormat("linear16", 16_000)) == pytest.approx(len(hidden) / 32_000, abs=0.001)


@pytest.mark.parametrize("rate", [0, 500_000])  # 0: headerless, and the client did not say
def test_rates_that_no_sound_has_are_refused(rate: int) -> None:
    with pytest.raises(BadAudio, match="sample rate"):
        decoded_seconds(encode.wav(bytes(1000), rate=rate) if rate else bytes(1000), AudioFormat("linear16", rate))


def test_messages_hold_no_paths_and_no_details_of_libraries() -> None:
    for file in (b"fLaC", b"OggS" + bytes(100), b"\0\0\0\x18ftypmp42" + bytes(100), b"RIFF\0\0\0\0WAVE"):
        with pytest.raises(BadAudio) as refusal:
            decoded_seconds(file)
        assert not any(word in refusal.value.message for word in ("/", "<", "Errno", "object", "av."))


@pytest.mark.parametrize("container", FORMATS)
def test_damaged_files_decode_or_are_refused_and_nothing_else(container: str) -> None:
    chance = np.random.default_rng(zlib.crc32(container.encode()))
    file = made(container)
    for _ in range(25):
        damaged = np.frombuffer(file, np.uint8).copy()
        for reach in (300, len(file)):  # the front holds the structure: half of the damage goes there
            where = chance.integers(0, min(reach, len(file)), chance.choice((1, 5, 50)))
            damaged[where] = chance.integers(0, 256, len(where)) if chance.random() < 0.7 else 0xFF
        kept = chance.integers(len(file)) if chance.random() < 0.3 else len(file)
        with contextlib.suppress(SttError):
            assert 0 <= decoded_seconds(damaged[:kept].tobytes()) <= LIMITS.max_seconds
