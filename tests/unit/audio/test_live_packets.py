"""Codings that need no demuxer: packets one to a message, frames that a parser finds, and what MP3 puts in front."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from app.audio.live import LiveDecoders
from app.audio.live_packets import has_decoder
from app.domain.audio import AudioFormat, AudioLimits
from app.domain.errors import BadAudio, InvalidParameter
from tests.support import encode
from tests.support.clips import likeness, sweeps
from tests.support.live_media import CLUSTERS, LIMITS, cut, decoded, muxed, opened, packets

OPUS = AudioFormat("opus", 48_000)
SPEEX_SILENCE = bytes([0x03, 0xC0])  # a narrow-band frame of submode 0, then the terminator
AMR_WB_FRAME = bytes([0x04]) + bytes(17)  # 6.6 kbit/s


class TestOpusPackets:
    def test_one_to_a_message_are_heard_at_once(self) -> None:
        with opened(OPUS) as decoder:
            lengths = [decoder.feed(packet).shape[1] for packet in packets(sweeps(48_000, 0.5), 48_000, "libopus")]
        assert min(lengths[1:]) > 0

    @pytest.mark.parametrize("channels", [1, 2])
    def test_sound_like_the_original(self, channels: int) -> None:
        heard = decoded(packets(sweeps(48_000, 0.5, channels), 48_000, "libopus"), AudioFormat("opus", 48_000, channels))
        for channel, original in zip(heard, sweeps(16_000, 0.5, channels), strict=True):
            assert likeness(channel, original) > 0.99

    def test_their_declared_rate_does_not_matter(self) -> None:
        """Opus always decodes at 48 kHz; clients declare the rate of their microphone."""
        sent = packets(sweeps(48_000, 0.5), 48_000, "libopus")
        assert np.array_equal(decoded(sent, AudioFormat("opus", 16_000)), decoded(sent, OPUS))

    def test_a_damaged_one_is_passed_over(self) -> None:
        sent = packets(sweeps(48_000, 0.5), 48_000, "libopus")
        assert decoded([*sent[:5], b"\xff\xff\xff", *sent[5:]], OPUS).shape == decoded(sent, OPUS).shape

    def test_that_are_an_ogg_stream_after_all_are_read_as_one(self) -> None:
        ogg = muxed(sweeps(48_000, 0.5), 48_000, "ogg", "libopus")
        assert likeness(decoded(cut(ogg, 400), OPUS)[0], sweeps(16_000, 0.5)[0]) > 0.99

    def test_cost_no_thread(self) -> None:
        threads = threading.active_count()
        with opened(OPUS) as decoder:
            decoder.feed(packets(sweeps(48_000, 0.1), 48_000, "libopus")[0])
            assert threading.active_count() == threads


class TestTelephony:
    @pytest.mark.skipif(sys.version_info < (3, 11), reason="PyAV 17, the last for Python 3.10, needs Speex headers")
    def test_speex_frames_have_20_ms(self) -> None:
        assert decoded([SPEEX_SILENCE] * 3, AudioFormat("speex", 8000)).shape[1] == pytest.approx(960, abs=1)

    @pytest.mark.parametrize("size", [1, 7, 10, 1000])
    def test_g729_frames_have_10_ms_in_any_cut(self, size: int) -> None:
        data = np.random.default_rng(3).bytes(10 * 20)
        assert decoded(cut(data, size), AudioFormat("g729", 8000)).shape[1] == pytest.approx(20 * 160, abs=1)

    @pytest.mark.parametrize("size", [1, 5, 18, 1000])
    @pytest.mark.parametrize("magic", [b"", b"#!AMR-WB\n"], ids=["bare", "file"])
    def test_amr_wb_frames_have_20_ms_in_any_cut(self, size: int, magic: bytes) -> None:
        heard = decoded(cut(magic + AMR_WB_FRAME * 10, size), AudioFormat("amr-wb", 16_000))
        assert heard.shape == (1, 3200)

    def test_amr_wb_as_a_file_needs_no_declaration(self) -> None:
        assert decoded(cut(b"#!AMR-WB\n" + AMR_WB_FRAME * 10, 20)).shape == (1, 3200)

    def test_interleaved_call_legs_stay_apart(self) -> None:
        legs = sweeps(8000, 0.5, channels=2)
        codes = encode.sndfile(legs, 8000, "RAW", "ULAW")
        heard = decoded(cut(codes, 321), AudioFormat("mulaw", 8000, 2))
        originals = sweeps(16_000, 0.5, channels=2)
        assert [likeness(channel, original) > 0.99 for channel, original in zip(heard, originals, strict=True)] == [
            True,
            True,
        ]
        assert likeness(heard[0], originals[1]) < 0.9


class TestMp3:
    @pytest.fixture(scope="class")
    @staticmethod
    def file() -> bytes:
        return encode.libav(sweeps(16_000, 1.0), 16_000, "mp3", "libmp3lame")

    def test_starts_where_its_sound_starts(self, file: bytes) -> None:
        """The frame that describes the file and the delay of the encoder are no sound: 105 ms here."""
        heard, original = decoded([file])[0], sweeps(16_000, 1.0)[0]
        assert likeness(heard[: len(original)], original, reach=2) > 0.99

    def test_may_be_joined_in_its_middle(self, file: bytes) -> None:
        heard = decoded(cut(file[len(file) // 3 :], 100))[0]
        whole = decoded([file])[0]
        assert len(heard) > 0.5 * len(whole)
        assert np.abs(heard[2000:] - whole[-len(heard) + 2000 :]).max() < 1e-3

    def test_tags_in_front_are_skipped_in_any_cut(self, file: bytes) -> None:
        body = file[10 + int.from_bytes(file[6:10], "big") :] if file.startswith(b"ID3") else file
        tag = b"ID3\x04\0\0" + bytes([0, 0, 0x10, 0x05]) + b"\xff" * (0x10 * 128 + 5)
        for size in (1, 100, 5000):
            assert np.array_equal(decoded(cut(tag + tag + body, size)), decoded([body]))


class TestDeclarations:
    """What cannot be decoded is refused before the handshake."""

    @pytest.mark.parametrize(
        ("declared", "parameter"),
        [
            (AudioFormat("linear16", 0), "sample_rate"),
            (AudioFormat("mulaw", 1_000_000), "sample_rate"),
            (AudioFormat("opus", 0), "sample_rate"),
            (AudioFormat("linear16", 16_000, 0), "channels"),
            (AudioFormat("linear16", 16_000, LIMITS.max_channels + 1), "channels"),
            (AudioFormat("opus", 48_000, 3), "channels"),
        ],
        ids=str,
    )
    def test_unusable_ones_are_refused(self, declared: AudioFormat, parameter: str) -> None:
        with pytest.raises(InvalidParameter) as refusal:
            LiveDecoders().open(declared, LIMITS)
        assert refusal.value.parameter == parameter

    def test_an_encoding_without_a_decoder_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("app.audio.live_opening.has_decoder", lambda codec: codec != "g729")
        with pytest.raises(InvalidParameter, match="g729"):
            LiveDecoders().open(AudioFormat("g729", 8000), LIMITS)

    def test_decoders_are_looked_up_by_name(self) -> None:
        assert has_decoder("opus")
        assert not has_decoder("no-such-codec")

    @pytest.mark.parametrize(
        "encoding", ["linear16", "linear32", "mulaw", "alaw", "opus", "speex", "g729", "amr-nb", "amr-wb"]
    )
    def test_declared_channels_are_known_at_once(self, encoding: str) -> None:
        with opened(AudioFormat(encoding, 8000, 2)) as decoder:
            assert decoder.channels == 2

    @pytest.mark.parametrize("declared", [None, AudioFormat("flac", 16_000), AudioFormat("ogg-opus", 48_000)], ids=str)
    def test_a_container_has_its_own(self, declared: AudioFormat | None) -> None:
        with opened(declared) as decoder:
            assert decoder.channels is None

    def test_declared_channels_hold_against_a_container(self) -> None:
        """Whoever reads the samples has made room for the declared ones."""
        stereo = muxed(sweeps(48_000, 0.3, 2), 48_000, "webm", "libopus", CLUSTERS)
        assert decoded([stereo], AudioFormat("linear16", 16_000, 1)).shape[0] == 1

    @pytest.mark.parametrize(
        ("declared", "data"),
        [
            (AudioFormat("flac", 16_000), np.random.default_rng(1).bytes(200_000)),
            (AudioFormat("ogg-opus", 48_000), np.random.default_rng(1).bytes(1000)),
            (AudioFormat("amr-nb", 8000), b"\xff" * 200_000),
        ],
        ids=["flac", "ogg-opus", "amr-nb"],
    )
    def test_bytes_that_are_something_else_are_refused(self, declared: AudioFormat, data: bytes) -> None:
        with pytest.raises(BadAudio):
            decoded(cut(data, 1000), declared)


def test_the_limit_on_channels_holds_for_containers() -> None:
    stereo = muxed(sweeps(48_000, 0.3, 2), 48_000, "webm", "libopus", CLUSTERS)
    with pytest.raises(BadAudio, match="channels"):
        decoded([stereo], limits=AudioLimits(60, max_channels=1))
