"""Wall-clock time: a client that is gone, one that only keeps alive, and one that we do not read from."""

from __future__ import annotations

import numpy as np
import pytest

from app.domain.stream.events import Audio, Closed, KeepAlive, ReadingPaused, ReadingResumed, Tick
from app.domain.stream.options import StreamOptions
from tests.support.script import Player, assert_tiles, finals, said, talk, utterance_ends

LINE = talk((0.5, "one two three"), length_s=4.0)
GONE = Closed(1011, "NET-0001")
NO_SAMPLES = Audio(np.zeros((1, 0), np.float32), (np.zeros(0, np.float32),))


def test_a_stream_without_audio_or_keep_alive_is_closed_after_ten_seconds() -> None:
    player = Player(StreamOptions(), LINE)
    assert player.machine.deadline() == 10.0
    assert player.send(Tick(), at=9.999) == []
    assert player.send(Tick(), at=10.0) == [GONE]
    assert player.machine.deadline() is None


def test_audio_and_keep_alive_reset_the_limit_and_so_do_bytes_without_a_whole_sample() -> None:
    player = Player(StreamOptions(idle_timeout_s=3.0), LINE)
    player.play(1.0)
    assert player.machine.deadline() == pytest.approx(4.0)
    player.send(KeepAlive(), at=3.9)
    assert player.send(Tick(), at=6.8) == []
    player.send(NO_SAMPLES, at=6.85)
    assert player.send(Tick(), at=9.8) == []
    assert player.send(Tick(), at=9.85)[-1] == GONE


def test_nothing_else_resets_it() -> None:
    player = Player(StreamOptions(), LINE, answers=False)
    player.play(2.0)
    player.now = 11.0
    player.answer(1)
    assert player.send(Tick(), at=11.99) == []
    assert player.send(Tick(), at=12.01)[-1] == GONE


def test_a_closed_stream_calls_its_decodes_off() -> None:
    player = Player(StreamOptions(), LINE, answers=False)
    player.play(2.0)
    assert len(player.waiting) == 1
    assert player.wait(12.5) == [GONE]
    assert player.waiting == {}


def test_keep_alive_alone_flushes_the_pending_segment_and_ends_the_utterance() -> None:
    player = Player(StreamOptions(utterance_end_s=1.5, endpointing_s=0.5), LINE)
    player.play(1.4)  # the last word ends at 1.35 s; no silence was sent after it
    player.send(KeepAlive(), at=player.now + 1.0)
    assert player.machine.deadline() == pytest.approx(1.4 + 1.5)
    assert player.events == []
    seen = player.wait(4.0)
    assert said(finals(seen)) == ["one", "two", "three"]
    assert finals(seen)[0].speech_final
    assert utterance_ends(seen) == pytest.approx([1.35])


def test_without_utterance_end_the_pending_segment_is_flushed_all_the_same() -> None:
    player = Player(StreamOptions(), LINE)
    player.play(1.4)
    player.send(KeepAlive(), at=player.now + 5.0)
    assert said(finals(player.events)) == ["one", "two", "three"]


def test_an_utterance_that_is_final_already_ends_too() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), LINE)
    player.play(1.7)
    assert len(finals(player.events)) == 1
    assert utterance_ends(player.events) == []
    player.send(KeepAlive())
    assert utterance_ends(player.wait(3.0)) == pytest.approx([1.35])


def test_it_happens_after_every_stretch_of_audio() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), talk((0.5, "one"), (1.5, "two"), length_s=4.0))
    for until_s in (0.8, 1.8):
        player.play(until_s)
        player.send(KeepAlive(), at=player.now + 2.0)
    assert said(finals(player.events)) == ["one", "two"]
    assert utterance_ends(player.events) == [0.75, 1.75]


def test_after_that_silence_counts_by_audio_again() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), talk((0.5, "one"), (1.5, "two"), length_s=4.0))
    player.play(0.8)
    player.send(KeepAlive(), at=player.now + 2.0)
    assert utterance_ends(player.events) == [0.75]
    player.play(2.2)
    assert said(finals(player.events)) == ["one", "two"]
    assert utterance_ends(player.events) == [0.75]
    player.play()
    assert utterance_ends(player.events) == [0.75, 1.75]


def test_a_keep_alive_before_the_last_audio_is_no_sign_of_silence() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), LINE)
    player.play(0.5)
    player.send(KeepAlive())
    player.play(1.0)
    assert player.wait(5.0) == []


def test_an_endpoint_that_is_owed_comes_with_the_flush_though_no_audio_is_left() -> None:
    # The utterance ends 1.28 s after the last voiced window, at the end of a window: the segment after it is empty.
    player = Player(StreamOptions(utterance_end_s=1.28, endpointing_s=5.0), LINE)
    player.play((-(-21_600 // 512) * 512 + 20_480) / 16_000)
    assert [f.speech_final for f in finals(player.events)] == [False]
    player.send(KeepAlive(), at=player.now + 2.0)
    assert [(f.duration_samples, f.speech_final) for f in finals(player.events)[1:]] == [(0, True)]


def test_a_delay_without_keep_alive_flushes_nothing() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), LINE)
    player.play(1.0)
    assert player.wait(10.5) == []
    player.play()
    assert said(finals(player.events)) == ["one", "two", "three"]
    assert len([f for f in finals(player.events) if f.words]) == 1


def test_keep_alive_between_audio_changes_nothing() -> None:
    steady, kept = Player(StreamOptions(), LINE), Player(StreamOptions(), LINE)
    steady.play()
    for tenth in range(40):
        kept.play(tenth / 10)
        kept.send(KeepAlive())
        kept.wait(kept.now + 0.5)
    kept.play()
    assert finals(kept.events) == finals(steady.events)


def test_it_happens_once_and_audio_goes_on_where_it_stopped() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), LINE)
    player.play(0.9)
    for _ in range(10):
        player.send(KeepAlive(), at=player.now + 4.0)
    assert len(finals(player.events)) == 1
    assert utterance_ends(player.events) == pytest.approx([0.75])
    player.play()
    assert_tiles(finals(player.events), finals(player.events)[-1].end_samples)
    assert said(finals(player.events)) == ["one", "two", "three"]


def test_keep_alive_holds_a_stream_that_never_had_audio_and_says_nothing() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0, interim_results=True), LINE)
    for _ in range(10):
        assert player.send(KeepAlive(), at=player.now + 9.0) == []


def test_while_we_do_not_read_the_client_is_not_idle() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), LINE)
    player.play(1.0)
    player.send(KeepAlive())
    player.send(ReadingPaused())
    assert player.machine.deadline() is None
    assert player.send(Tick(), at=60.0) == []
    player.send(ReadingResumed(), at=61.0)
    assert player.machine.deadline() == pytest.approx(62.0)  # the stall counts anew, and so does the idle limit
    assert player.send(Tick(), at=70.9) != [GONE]
    assert player.send(Tick(), at=71.0)[-1] == GONE


def test_a_clock_that_goes_back_does_no_harm() -> None:
    player = Player(StreamOptions(), LINE)
    player.play(1.0)
    player.send(KeepAlive(), at=8.0)
    player.send(KeepAlive(), at=2.0)
    assert player.machine.deadline() == pytest.approx(18.0)
