"""The audio of ``WS /v1/listen`` in every form clients send it, and what is no audio (contract 3.2, 3.7)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.app import Stage, staged
from tests.support.clips import AUDIO, Samples, sweeps
from tests.support.encode import linear16, wav
from tests.support.live_media import CLUSTER, FRAGMENTS, cut, muxed, packets, recorder_webm
from tests.support.live_talk import CLOSE, FINALIZE, RAW, Sent, converse, tone

TWO_SECONDS = "hello world how are you"


def garbage(size: int) -> bytes:
    return np.random.default_rng(5).bytes(size)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as running:
        yield running


class TestHeaderlessAudio:
    @pytest.mark.parametrize("size", [1, 333, 3199, 3200, 32_000, 100_001])
    def test_may_be_cut_anywhere_even_inside_a_sample(self, stage: Stage, size: int) -> None:
        audio = tone(2.0 if size > 1 else 0.02) + b"\x01"
        talk = converse(stage.client, RAW, [*cut(audio, size), CLOSE])
        assert talk.metadata["duration"] == (2.0 if size > 1 else 0.02)
        assert talk.metadata["sha256"] == hashlib.sha256(audio).hexdigest()
        assert talk.text == (TWO_SECONDS if size > 1 else "")
        assert talk.code == 1000

    def test_half_a_sample_is_no_audio_and_no_error(self, stage: Stage) -> None:
        talk = converse(stage.client, RAW, [b"\x01", FINALIZE, CLOSE])
        assert talk.metadata["duration"] == 0.0
        assert talk.metadata["sha256"] == hashlib.sha256(b"\x01").hexdigest()
        assert talk.code == 1000

    @pytest.mark.parametrize(
        ("query", "audio"),
        [
            ("encoding=linear16&sample_rate=48000&channels=2", tone(2.0, 48_000, 2)),
            ("encoding=linear16&sample_rate=8000", tone(2.0, 8000)),
            ("encoding=linear16&sample_rate=44100", tone(2.0, 44_100)),
            ("encoding=linear32&sample_rate=24000", sweeps(24_000, 2.0).T.astype("<f4").tobytes()),
            ("encoding=mulaw&sample_rate=8000", b"\xff\x7f" * 8000),
            ("encoding=alaw&sample_rate=8000", b"\xd5\x55" * 8000),
        ],
    )
    def test_of_any_rate_and_coding_lasts_as_long_as_it_was(self, stage: Stage, query: str, audio: bytes) -> None:
        talk = converse(stage.client, query, [*cut(audio, len(audio) // 20), CLOSE])
        assert talk.metadata["duration"] == pytest.approx(2.0, abs=0.002)
        assert talk.metadata["channels"] == 1
        assert talk.text == TWO_SECONDS

    def test_channels_are_told_apart_when_asked_for(self, stage: Stage) -> None:
        query = "encoding=mulaw&sample_rate=8000&channels=2&multichannel=true"
        talk = converse(stage.client, query, [*cut(b"\xff\x7f" * 16_000, 6400), CLOSE])
        assert [final["channel_index"] for final in talk.finals] == [[0, 2], [1, 2]]
        assert [final["duration"] for final in talk.finals] == pytest.approx([2.0, 2.0], abs=0.002)
        assert talk.metadata["channels"] == 2

    def test_with_a_wav_header_is_read_as_the_header_says(self, stage: Stage) -> None:
        audio = wav(tone(2.0, 8000), rate=8000, data_size=0xFFFFFFFF)
        talk = converse(stage.client, RAW, [*cut(audio, 1600), CLOSE])
        assert talk.metadata["duration"] == pytest.approx(2.0, abs=0.002)

    def test_opus_packets_come_one_to_a_message(self, stage: Stage) -> None:
        sent = packets(sweeps(48_000, 2.0), 48_000, "libopus")
        talk = converse(stage.client, "encoding=opus&sample_rate=48000", [*sent, CLOSE])
        assert talk.metadata["duration"] == pytest.approx(2.0, abs=0.05)
        assert talk.text == TWO_SECONDS


class TestContainers:
    @pytest.mark.parametrize(
        "write",
        [
            recorder_webm,
            lambda sound: muxed(sound, 48_000, "mp4", "aac", FRAGMENTS),
            lambda sound: muxed(sound, 48_000, "ogg", "libopus"),
            lambda sound: muxed(sound, 48_000, "mp3", "libmp3lame"),
        ],
        ids=["webm", "mp4", "ogg", "mp3"],
    )
    def test_are_recognised_and_heard_while_they_arrive(self, stage: Stage, write: Callable[[Samples], bytes]) -> None:
        audio = write(sweeps(48_000, 2.0))
        talk = converse(stage.client, "", [*cut(audio, max(1, len(audio) // 8)), CLOSE])
        assert talk.metadata["duration"] == pytest.approx(2.0, abs=0.1)
        assert talk.metadata["sha256"] == hashlib.sha256(audio).hexdigest()
        assert talk.text == TWO_SECONDS
        assert talk.code == 1000

    def test_words_come_before_the_container_ends(self, stage: Stage) -> None:
        audio = recorder_webm(sweeps(48_000, 4.0))
        with stage.client.websocket_connect("/v1/listen?interim_results=true") as socket:
            for piece in cut(audio, len(audio) // 16)[:10]:
                socket.send_bytes(piece)
            assert socket.receive_json()["channel"]["alternatives"][0]["transcript"].startswith("hello")

    def test_channels_of_a_container_are_known_from_its_header(self, stage: Stage) -> None:
        audio = wav(linear16(sweeps(16_000, 2.0, channels=2)), channels=2)
        apart = converse(stage.client, "multichannel=true", [FINALIZE, *cut(audio, 6400), CLOSE])
        mixed = converse(stage.client, "", [*cut(audio, 6400), CLOSE])
        assert [final["channel_index"] for final in apart.finals] == [[0, 1], [0, 2], [1, 2]]
        assert (apart.metadata["channels"], mixed.metadata["channels"]) == (2, 1)
        assert [final["channel_index"] for final in mixed.finals] == [[0, 1]]

    def test_the_clip_beside_the_tests(self, stage: Stage) -> None:
        clip = (AUDIO / "hello-world.wav").read_bytes()
        talk = converse(stage.client, "", [*cut(clip, 4000), b""])
        assert talk.metadata["duration"] == pytest.approx(1.303, abs=0.002)

    @pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
    def test_one_that_is_cut_in_the_middle_gives_what_it_holds(self, stage: Stage, share: float) -> None:
        audio = recorder_webm(sweeps(48_000, 3.0))
        talk = converse(stage.client, "", [audio[: round(len(audio) * share)], CLOSE])
        assert talk.code == 1000
        assert talk.metadata["duration"] == pytest.approx(3.0 * share, abs=0.4)


class TestWhatIsNoAudio:
    @pytest.mark.parametrize(
        "sent",
        [
            [garbage(65_536)],
            [garbage(1000)] * 70,
            [b"this is a letter and no recording " * 2000],
            [garbage(100), CLOSE],
            [b"hello", b""],
        ],
    )
    def test_ends_with_1008_and_the_contracts_reason(self, stage: Stage, sent: list[Sent]) -> None:
        talk = converse(stage.client, "", sent)
        assert (talk.code, talk.reason) == (1008, "DATA-0000")
        assert talk.messages == []
        assert stage.pool.calls == []

    def test_a_recording_joined_in_its_middle(self, stage: Stage) -> None:
        """What a page sends that reconnects without starting its recorder anew (contract 6.5)."""
        audio = recorder_webm(sweeps(48_000, 3.0))
        middle = audio.index(CLUSTER, len(audio) // 2)
        talk = converse(stage.client, "", [*cut(audio[middle:], 1000), CLOSE])
        assert (talk.code, talk.reason) == (1008, "DATA-0000")

    def test_more_channels_than_allowed(self, tmp_path: Path) -> None:
        with staged(tmp_path, max_channels=2) as stage:
            audio = wav(np.zeros(30_000, "<i2").tobytes(), channels=3)
            talk = converse(stage.client, "multichannel=true", [audio, CLOSE])
        assert (talk.code, talk.reason) == (1008, "DATA-0000")

    def test_random_samples_are_audio_to_whoever_says_so(self, stage: Stage) -> None:
        talk = converse(stage.client, RAW, [garbage(64_000), CLOSE])
        assert talk.metadata["duration"] == 2.0
        assert talk.code == 1000
