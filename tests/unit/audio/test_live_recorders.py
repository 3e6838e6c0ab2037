"""Streams as browsers record them: WebM from Chrome and Firefox, MP4 in fragments from Safari, restarted on the way."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from app.domain.errors import BadAudio
from tests.support import encode
from tests.support.clips import likeness, sweeps
from tests.support.live_media import CLUSTER, CLUSTERS, FRAGMENTS, SHORT_PAGES, cut, decoded, muxed, opened, recorder_webm

LENGTH = 16_000


@pytest.fixture(scope="module")
def webm() -> bytes:
    return recorder_webm(sweeps(48_000, 1.0))


@pytest.fixture(scope="module")
def mp4() -> bytes:
    return muxed(sweeps(48_000, 1.0), 48_000, "mp4", "aac", FRAGMENTS)


@pytest.fixture(scope="module")
def ogg() -> bytes:
    return muxed(sweeps(48_000, 1.0), 48_000, "ogg", "libopus", SHORT_PAGES)


def test_webm_sound_lags_its_bytes_by_less_than_60_ms(webm: bytes) -> None:
    """The last block of a cluster is heard without waiting for the next cluster."""
    end = webm.rindex(CLUSTER)
    whole = len(decoded([webm[:end]])[0])
    with opened() as decoder:
        heard = sum(decoder.feed(message).shape[1] for message in cut(webm[:end], 400))
    assert whole > 0.5 * LENGTH
    assert whole - heard < 0.06 * LENGTH


@pytest.mark.parametrize("name", ["mp4", "ogg"])
def test_other_recordings_lag_by_less_than_60_ms(name: str, request: pytest.FixtureRequest) -> None:
    with opened() as decoder:
        heard = sum(decoder.feed(message).shape[1] for message in cut(request.getfixturevalue(name), 400))
        assert decoder.flush().shape[1] < 0.06 * LENGTH
    assert heard > 0.9 * LENGTH


class TestRestart:
    """A new header in the middle of the stream begins anew, and time goes on."""

    @pytest.mark.parametrize("size", [1, 7, 1000, 1_000_000])
    @pytest.mark.parametrize("name", ["webm", "mp4", "ogg"])
    def test_both_recordings_are_heard_whole(self, name: str, size: int, request: pytest.FixtureRequest) -> None:
        stream = request.getfixturevalue(name)
        once = decoded([stream])[0]
        both = decoded(cut(stream + stream, size))[0]
        assert abs(len(both) - 2 * len(once)) <= 1
        assert likeness(both[: len(once)], once) > 0.999
        assert likeness(both[len(once) :], once) > 0.999

    @pytest.mark.parametrize("name", ["webm", "mp4", "ogg"])
    def test_what_came_before_may_be_incomplete(self, name: str, request: pytest.FixtureRequest) -> None:
        stream = request.getfixturevalue(name)
        once = decoded([stream])[0]
        broken = stream[: int(len(stream) * 0.7)]
        before = len(decoded([broken])[0])
        both = decoded(cut(broken + stream, 250))[0]
        assert abs(len(both) - before - len(once)) <= 1
        assert likeness(both[before:], once) > 0.99

    def test_a_recorder_restarted_before_any_sound_is_heard(self, webm: bytes) -> None:
        header = webm[: webm.index(CLUSTER)]
        assert len(decoded([header, header, webm])[0]) == len(decoded([webm])[0])

    def test_an_ogg_with_two_streams_is_one_recording(self) -> None:
        """Their first pages stand together at the start; the second is no restart."""
        pages = muxed(sweeps(48_000, 1.0), 48_000, "ogg", "libopus", SHORT_PAGES)
        second = pages.index(b"OggS", 4)
        foreign = bytearray(pages[:second])
        foreign[14:18] = b"\x01\x02\x03\x04"  # another stream's number; its checksum is then wrong, and the page ignored
        assert len(decoded(cut(bytes(foreign) + pages, 50))[0]) == len(decoded([pages])[0])

    def test_wav_files_one_after_the_other_are_one_stream(self) -> None:
        file = encode.wav(encode.linear16(sweeps(16_000, 1.0)))
        assert np.array_equal(decoded(cut(file + file, 999))[0], np.tile(decoded([file])[0], 2))

    def test_restarts_leave_no_threads(self, webm: bytes) -> None:
        threads = threading.active_count()
        with opened() as decoder:
            for _ in range(5):
                decoder.feed(webm)
                assert threading.active_count() == threads + 1
        assert threading.active_count() == threads


class TestMissingBeginning:
    """A client that reconnects in the middle of a recording sends no header (contract 6.5: DATA-0000)."""

    def test_webm_from_a_cluster_on_is_refused_at_once(self, webm: bytes) -> None:
        with opened() as decoder, pytest.raises(BadAudio, match="header is missing"):
            decoder.feed(webm[webm.index(CLUSTER) :][:100])

    def test_webm_from_anywhere_is_refused(self, webm: bytes) -> None:
        rest = webm[webm.index(CLUSTER) + 57 :]
        with pytest.raises(BadAudio):
            decoded(cut(rest * 4, 250))

    def test_mp4_from_a_fragment_on_is_refused_at_once(self, mp4: bytes) -> None:
        with opened() as decoder, pytest.raises(BadAudio, match="header is missing"):
            decoder.feed(mp4[mp4.index(b"moof") - 4 :][:100])

    def test_mp4_with_its_index_at_the_end_is_refused_at_once(self) -> None:
        file = encode.libav(sweeps(48_000, 1.0), 48_000, "mp4", "aac")
        assert file.index(b"mdat") < file.index(b"moov")
        with opened() as decoder, pytest.raises(BadAudio, match="index"):
            decoder.feed(file[: file.index(b"mdat") + 100])


class TestHeaderOnly:
    def test_a_recording_stopped_before_its_first_sound_is_no_error(self, webm: bytes) -> None:
        assert decoded([webm[: webm.index(CLUSTER)]]).shape[1] == 0

    def test_nor_is_one_stopped_inside_its_header(self, mp4: bytes) -> None:
        assert decoded([mp4[:100]]).shape[1] == 0


class TestPictures:
    def test_are_ignored(self) -> None:
        film = muxed(sweeps(48_000, 1.0), 48_000, "webm", "libopus", CLUSTERS, video=True)
        heard = decoded(cut(film, 700))[0]
        assert len(heard) == pytest.approx(LENGTH, abs=0.06 * LENGTH)
        assert likeness(heard, sweeps(16_000, 1.0)[0]) > 0.99

    def test_without_sound_are_refused(self) -> None:
        silent = encode.libav(sweeps(48_000, 0.2), 48_000, "matroska", "pcm_s16le", video=True)
        audio_track = silent.index(b"A_PCM")
        with pytest.raises(BadAudio):
            decoded([silent[:audio_track] + b"X_XXX" + silent[audio_track + 5 :]])


class TestThread:
    def test_only_a_container_costs_one(self, webm: bytes) -> None:
        threads = threading.active_count()
        with opened() as decoder:
            assert threading.active_count() == threads
            decoder.feed(webm[:500])
            assert threading.active_count() == threads + 1

    def test_ends_with_a_close_while_it_waits_for_bytes(self, webm: bytes) -> None:
        with opened() as decoder:
            decoder.feed(webm[:3000])
            assert any(thread.name == "live-demuxer" for thread in threading.enumerate())
            decoder.close()
            assert not any(thread.name == "live-demuxer" for thread in threading.enumerate())

    def test_a_close_beside_a_running_call_ends_it(self, webm: bytes) -> None:
        threads = set(threading.enumerate())
        results: list[int] = []
        with opened() as decoder:
            feeder = threading.Thread(target=lambda: results.append(decoder.feed(webm * 50).shape[1]))
            feeder.start()
            decoder.close()
            feeder.join(60)
        assert results
        assert set(threading.enumerate()) == threads

    def test_a_hundred_streams_at_once_are_heard_apart(self) -> None:
        streams = [recorder_webm(sweeps(48_000, 0.3, channels=2)[[index]]) for index in (0, 1)]
        expected = [decoded([stream]) for stream in streams]
        decoders = [opened() for _ in range(100)]
        entered = [decoder.__enter__() for decoder in decoders]
        heard: list[list[np.ndarray]] = [[] for _ in entered]
        for step in range(0, max(map(len, streams)), 500):
            for index, decoder in enumerate(entered):
                heard[index].append(decoder.feed(streams[index % 2][step : step + 500]))
        for index, decoder in enumerate(entered):
            heard[index].append(decoder.flush())
            assert np.array_equal(np.concatenate(heard[index], axis=1), expected[index % 2])
        assert threading.active_count() < 50


def test_a_message_that_unpacks_to_hours_is_refused() -> None:
    """A megabyte of FLAC can hold a day of nothing."""
    silence = encode.sndfile(np.zeros((1, 16_000 * 300), np.float32), 16_000, "FLAC", "PCM_16")
    assert len(silence) < 40_000
    with pytest.raises(BadAudio, match="at once"):
        decoded([silence * 15])
