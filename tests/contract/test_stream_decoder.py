"""What ``ports.StreamDecoder`` promises, shown on every kind of stream the server takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from app.domain.audio import AudioFormat
from app.domain.errors import BadAudio
from tests.support import encode
from tests.support.clips import likeness, sweeps
from tests.support.live_media import (
    CLUSTERS,
    FRAGMENTS,
    LIMITS,
    SHORT_PAGES,
    cut,
    decoded,
    muxed,
    opened,
    packets,
    recorder_webm,
)

Samples = NDArray[np.float32]

SECONDS = 1.0
CODEC_S = 0.08
"""What a codec adds at the ends: delay, and the padding of its last frame. MP3 at 16 kHz is the longest."""


@dataclass(frozen=True)
class Kind:
    """One kind of stream: its bytes, and what is declared. ``alike``: how like the original its sound must be."""

    make: Callable[[], bytes]
    declared: AudioFormat | None = None
    channels: int = 1
    alike: float = 0.99
    exact: bool = False  # as long as the original, to the sample
    gathers: bool = False  # a second to a page: nothing can be heard of it before it is whole


def sound(rate: int, channels: int = 1) -> Samples:
    return sweeps(rate, SECONDS, channels)


def noise(size: int, seed: int = 5) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def linear16(rate: int = 16_000, channels: int = 1) -> bytes:
    return encode.linear16(sound(rate, channels))


def linear32(rate: int) -> bytes:
    return np.ascontiguousarray(sound(rate).T).astype("<f4").tobytes()


def g711(subtype: str) -> bytes:
    return encode.sndfile(sound(8000), 8000, "RAW", subtype)


KINDS = {
    "linear16": Kind(linear16, AudioFormat("linear16", 16_000), exact=True),
    "linear16-stereo-44100": Kind(lambda: linear16(44_100, 2), AudioFormat("linear16", 44_100, 2), channels=2, exact=True),
    "linear16-with-wav-header": Kind(
        lambda: encode.wav(linear16(8000), rate=8000), AudioFormat("linear16", 16_000), exact=True
    ),
    "linear32-48000": Kind(lambda: linear32(48_000), AudioFormat("linear32", 48_000), exact=True),
    "mulaw": Kind(lambda: g711("ULAW"), AudioFormat("mulaw", 8000), exact=True),
    "alaw": Kind(lambda: g711("ALAW"), AudioFormat("alaw", 8000), exact=True),
    "amr-nb": Kind(
        lambda: b"".join(packets(sound(8000), 8000, "libopencore_amrnb")), AudioFormat("amr-nb", 8000), alike=0.9
    ),
    "amr-nb-file": Kind(lambda: b"#!AMR\n" + b"".join(packets(sound(8000), 8000, "libopencore_amrnb")), alike=0.9),
    "flac": Kind(lambda: encode.sndfile(sound(16_000), 16_000, "FLAC", "PCM_16"), exact=True),
    "flac-declared": Kind(
        lambda: encode.sndfile(sound(16_000), 16_000, "FLAC", "PCM_16"), AudioFormat("flac", 16_000), exact=True
    ),
    "ogg-opus": Kind(lambda: muxed(sound(48_000), 48_000, "ogg", "libopus"), AudioFormat("ogg-opus", 48_000), gathers=True),
    "ogg-short-pages": Kind(lambda: muxed(sound(48_000), 48_000, "ogg", "libopus", SHORT_PAGES)),
    "ogg-flac": Kind(lambda: muxed(sound(16_000), 16_000, "ogg", "flac"), exact=True, gathers=True),
    "ogg-vorbis": Kind(lambda: encode.sndfile(sound(44_100, 2), 44_100, "OGG", "VORBIS"), channels=2, gathers=True),
    "webm-opus": Kind(lambda: muxed(sound(48_000), 48_000, "webm", "libopus", CLUSTERS)),
    "webm-opus-stereo": Kind(lambda: muxed(sound(48_000, 2), 48_000, "webm", "libopus", CLUSTERS), channels=2),
    "webm-recorder": Kind(lambda: recorder_webm(sound(48_000))),
    "webm-recorder-stereo": Kind(lambda: recorder_webm(sound(48_000, 2)), channels=2),
    "mp4-aac": Kind(lambda: muxed(sound(48_000), 48_000, "mp4", "aac", FRAGMENTS)),
    "mp4-opus": Kind(lambda: muxed(sound(48_000), 48_000, "mp4", "libopus", FRAGMENTS)),
    "mp3": Kind(lambda: muxed(sound(16_000), 16_000, "mp3", "libmp3lame")),
    "mp3-44100-stereo": Kind(lambda: muxed(sound(44_100, 2), 44_100, "mp3", "libmp3lame"), channels=2),
    "adts": Kind(lambda: muxed(sound(48_000), 48_000, "adts", "aac")),
    "ac3": Kind(lambda: muxed(sound(48_000), 48_000, "ac3", "ac3")),
    "mpegts": Kind(lambda: muxed(sound(48_000), 48_000, "mpegts", "aac")),
    "wav": Kind(lambda: encode.wav(linear16()), exact=True),
    "wav-size-0": Kind(lambda: encode.wav(linear16(), data_size=0), exact=True),
    "wav-size-unknown": Kind(lambda: encode.wav(linear16(), data_size=0xFFFFFFFF), exact=True),
    "wav-24-bit": Kind(lambda: encode.sndfile(sound(22_050), 22_050, "WAV", "PCM_24"), exact=True),
    "wav-adpcm": Kind(lambda: encode.sndfile(sound(16_000), 16_000, "WAV", "IMA_ADPCM"), alike=0.98),
}


@lru_cache
def stream_of(name: str) -> bytes:
    return KINDS[name].make()


@lru_cache
def at_once(name: str) -> Samples:
    return decoded([stream_of(name)], KINDS[name].declared)


@pytest.mark.parametrize("name", KINDS)
class TestEveryKind:
    def test_gives_the_sound_that_went_in(self, name: str) -> None:
        kind, heard = KINDS[name], at_once(name)
        originals = sweeps(16_000, SECONDS, kind.channels)
        assert heard.dtype == np.float32
        assert heard.shape[0] == kind.channels
        assert heard.shape[1] == pytest.approx(originals.shape[1], abs=1 if kind.exact else CODEC_S * 16_000)
        for channel, original in zip(heard, originals, strict=True):
            assert likeness(channel, original, reach=int(CODEC_S * 16_000)) > kind.alike

    @pytest.mark.parametrize("size", [1, 3, 641, 4096], ids="in-{}".format)
    def test_does_not_depend_on_how_the_bytes_are_cut(self, name: str, size: int) -> None:
        messages = cut(stream_of(name), size)
        if size == 1:
            messages = [*messages[:5000], stream_of(name)[5000:]]
        heard = decoded(messages, KINDS[name].declared)
        assert heard.shape == at_once(name).shape
        assert np.abs(heard - at_once(name)).max() < 1e-5

    def test_does_not_depend_on_odd_cuts(self, name: str) -> None:
        rng, rest, messages = np.random.default_rng(11), stream_of(name), []
        while rest:
            size = int(rng.choice((0, 1, 2, 5, 77, 900, 5000)))
            messages.append(rest[:size])
            rest = rest[size:]
        heard = decoded(messages, KINDS[name].declared)
        assert heard.shape == at_once(name).shape
        assert np.abs(heard - at_once(name)).max() < 1e-5

    def test_most_sound_is_there_before_the_end(self, name: str) -> None:
        """What waits for ``flush`` is a codec frame, a page of Ogg or a block of ADPCM, not the recording."""
        with opened(KINDS[name].declared) as decoder:
            before = sum(decoder.feed(message).shape[1] for message in cut(stream_of(name), 500))
            after = decoder.flush().shape[1]
        assert before > 0
        assert after <= 0.1 * 16_000

    def test_says_its_channels_once_there_is_sound(self, name: str) -> None:
        kind = KINDS[name]
        with opened(kind.declared) as decoder:
            decoder.feed(stream_of(name))
            assert decoder.channels == kind.channels

    def test_can_be_closed_in_any_state(self, name: str) -> None:
        threads = threading.active_count()
        for fed in (0, 1, 100, 3000, len(stream_of(name))):
            with opened(KINDS[name].declared) as decoder:
                decoder.feed(stream_of(name)[:fed])
            decoder.close()
            assert decoder.feed(b"more").shape[1] == 0
        assert threading.active_count() == threads

    def test_leaves_no_thread_when_it_ends(self, name: str) -> None:
        threads = set(threading.enumerate())
        with opened(KINDS[name].declared) as decoder:
            decoder.feed(stream_of(name))
            decoder.flush()
            assert set(threading.enumerate()) == threads

    def test_a_cut_at_any_place_gives_the_sound_before_it(self, name: str) -> None:
        data = stream_of(name)
        for part in (0.3, 0.55, 0.8):
            heard = decoded(cut(data[: int(len(data) * part)], 1000), KINDS[name].declared)
            shared = max(0, min(heard.shape[1], at_once(name).shape[1]) - 1600)
            assert shared > 0 or KINDS[name].gathers
            assert np.all(np.abs(heard[:, :shared] - at_once(name)[:, :shared]) < 1e-3)

    def test_garbage_behind_sound_never_takes_the_sound_away(self, name: str) -> None:
        messages = cut(stream_of(name), 1000)
        messages += cut(noise(30_000), 1000)
        heard = decoded(messages, KINDS[name].declared)
        shared = at_once(name).shape[1] - 3200
        assert np.abs(heard[:, :shared] - at_once(name)[:, :shared]).max() < 1e-3


class TestTheSameAsARecording:
    """Live and REST must hear the same, so both are held against a third resampler."""

    @pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 24_000, 32_000, 44_100, 48_000])
    def test_every_rate_is_resampled_alike(self, rate: int) -> None:
        data = linear16(rate)
        heard = decoded(cut(data, 777), AudioFormat("linear16", rate))[0]
        expected = soxr.resample(np.frombuffer(data, "<i2").astype(np.float32) / 32_768, rate, 16_000)
        assert abs(len(heard) - len(expected)) <= 1
        size = min(len(heard), len(expected))
        assert np.sqrt(np.mean((heard[:size] - expected[:size]) ** 2)) < 1e-3


class TestWhatIsNotAudio:
    @pytest.mark.parametrize("seed", range(8))
    def test_random_bytes_are_refused_within_64_kib(self, seed: int) -> None:
        with pytest.raises(BadAudio):
            decoded(cut(noise(65_536, seed), 500))

    @pytest.mark.parametrize(
        "data", [b"This is a text and no sound. " * 3000, b'{"type": "KeepAlive"}', b"hi"], ids=["long", "json", "short"]
    )
    def test_text_is_refused(self, data: bytes) -> None:
        with pytest.raises(BadAudio):
            decoded(cut(data, 100))

    def test_nothing_at_all_is_no_error(self) -> None:
        assert decoded([]).shape == (1, 0)

    def test_after_an_error_every_call_raises_it(self) -> None:
        with opened() as decoder:
            for _ in range(2):
                with pytest.raises(BadAudio):
                    decoder.feed(noise(65_536))
            with pytest.raises(BadAudio):
                decoder.flush()

    @pytest.mark.parametrize("name", ["webm-opus", "mp4-aac", "ogg-short-pages", "mp3", "adts", "flac"])
    def test_a_stream_that_turns_to_garbage_for_good_is_refused(self, name: str) -> None:
        half = stream_of(name)[: len(stream_of(name)) // 2]
        with opened() as decoder:
            heard = sum(decoder.feed(message).shape[1] for message in cut(half, 1000))
            assert heard > 0.2 * 16_000
            with pytest.raises(BadAudio):
                list(map(decoder.feed, cut(noise(200_000), 1000)))

    def test_more_channels_than_the_limit_are_refused(self) -> None:
        wide = encode.wav(bytes(2 * 9 * 100), channels=LIMITS.max_channels + 1)
        with pytest.raises(BadAudio, match="channels"):
            decoded([wide])
