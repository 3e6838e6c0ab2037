"""Finalize, CloseStream, Shutdown: everything that was sent gets its final, in order, once."""

from __future__ import annotations

import pytest

from app.domain.audio import samples
from app.domain.stream.events import (
    Abort,
    Audio,
    Closed,
    CloseStream,
    Finalize,
    KeepAlive,
    Metadata,
    SchemaError,
    Shutdown,
    Tick,
)
from app.domain.stream.options import StreamOptions
from tests.support.script import Player, assert_tiles, closing, finals, ramp, results, said, talk, text

LINE = talk((0.5, "one two three four five six"), length_s=4.0)


@pytest.mark.parametrize("until_s", [0.3, 0.9, 1.0001, 1.7, 2.4, 3.3, 4.0])
def test_finalize_gives_one_final_with_everything_received(until_s: float) -> None:
    player = Player(StreamOptions(endpointing_s=0.5), LINE)
    player.play(until_s)
    seen = player.send(Finalize())
    (final,) = results(seen)
    assert (final.is_final, final.speech_final, final.from_finalize) == (True, True, True)
    assert final.end_samples == samples(until_s)
    assert_tiles(finals(player.events), samples(until_s))
    player.play()
    player.send(CloseStream())
    assert said(finals(player.events)) == LINE.text
    assert_tiles(finals(player.events), LINE.length_samples)


def test_only_finalize_says_from_finalize() -> None:
    player = Player(StreamOptions(), LINE)
    player.play()
    player.send(CloseStream())
    assert finals(player.events)
    assert not any(f.from_finalize for f in finals(player.events))


def test_finalize_before_any_audio_is_answered_empty() -> None:
    player = Player(StreamOptions(channels=2), LINE, LINE)
    seen = player.send(Finalize())
    assert [
        (f.channel_index, f.start_samples, f.duration_samples, f.words) for f in results(seen, 0) + results(seen, 1)
    ] == [
        (0, 0, 0, ()),
        (1, 0, 0, ()),
    ]


def test_finalize_twice_is_answered_twice_in_order() -> None:
    player = Player(StreamOptions(), LINE, answers=False)
    player.play(1.5)
    player.send(Finalize())
    assert player.send(Finalize()) == []  # it must not overtake the first, whose decode is under way
    first, second = finals(player.answer(1))
    assert text(first) == "one two three"
    assert (second.start_samples, second.duration_samples, second.words) == (first.end_samples, 0, ())
    assert second.from_finalize


def test_finalize_may_name_a_channel() -> None:
    player = Player(StreamOptions(channels=2), LINE, LINE)
    player.play(1.5)
    seen = player.send(Finalize(channel_index=1))
    assert finals(seen, 0) == []
    assert [f.from_finalize for f in finals(seen, 1)] == [True]


@pytest.mark.parametrize("index", [-1, 2, 99])
def test_finalize_of_a_channel_that_is_not_there_is_answered_as_unusable(index: int) -> None:
    player = Player(StreamOptions(channels=2), LINE, LINE)
    assert player.send(Finalize(index, text="the message")) == [SchemaError("the message")]


def test_finalize_in_the_middle_of_speech_starts_no_new_speech() -> None:
    player = Player(StreamOptions(vad_events=True), LINE)
    player.play(1.5)
    player.send(Finalize())
    player.play()
    assert [type(e).__name__ for e in player.events].count("SpeechStarted") == 1


def test_a_word_that_has_just_begun_belongs_to_what_follows_the_finalize() -> None:
    player = Player(StreamOptions(endpointing_s=0.5), talk((0.5, "one"), (1.024, "two"), length_s=3.0))
    player.play(1.06)
    seen = player.send(Finalize())
    player.play()
    assert said(finals(seen)) == ["one"]
    assert player.asked[-1].start_samples <= samples(1.024)
    assert said(finals(player.events)) == ["one", "two"]


def test_what_is_left_of_a_window_after_finalize_is_not_speech() -> None:
    player = Player(StreamOptions(endpointing_s=0.5), talk((0.5, "one"), length_s=3.0))
    player.play(0.75)  # the word ends here, its last window at 0.768 s
    player.send(Finalize())
    player.play()
    player.send(CloseStream())
    assert len(player.asked) == 1


@pytest.mark.parametrize("until_s", [0.3, 0.9, 1.7, 2.4, 3.3, 4.0])
def test_close_gives_finals_then_metadata_then_closes_with_1000(until_s: float) -> None:
    player = Player(StreamOptions(endpointing_s=0.5, utterance_end_s=1.0), LINE)
    player.play(until_s)
    seen = player.send(CloseStream())
    assert seen[-2:] == [Metadata(samples(until_s), 1), Closed(1000, "")]
    assert_tiles(finals(player.events), samples(until_s))


def test_close_waits_for_every_decode_and_keeps_the_order() -> None:
    two = talk((0.5, "one"), (1.5, "two"), length_s=1.8)
    player = Player(StreamOptions(), two, answers=False)
    player.play()
    assert player.send(CloseStream()) == []
    first, second = player.waiting
    assert player.answer(second) == []
    seen = player.answer(first)
    assert said(finals(seen[:2])) == ["one", "two"]
    assert [type(e) for e in seen[2:]] == [Metadata, Closed]


def test_the_last_final_is_an_endpoint_unless_endpointing_is_off() -> None:
    for endpointing_s, is_endpoint in ((0.3, True), (None, False)):
        player = Player(StreamOptions(endpointing_s=endpointing_s), LINE)
        player.play(1.5)
        player.send(CloseStream())
        assert finals(player.events)[-1].speech_final is is_endpoint


def test_close_with_nothing_left_to_say_gives_no_further_final() -> None:
    player = Player(StreamOptions(), LINE)
    player.play(1.5)
    player.send(Finalize())
    assert [type(e) for e in player.send(CloseStream())] == [Metadata, Closed]


def test_close_without_audio_says_that_there_was_none() -> None:
    player = Player(StreamOptions(channels=2), LINE, LINE)
    assert player.send(CloseStream()) == [Metadata(0, 0), Closed(1000, "")]


def test_finalize_and_close_back_to_back_are_served_in_order() -> None:
    player = Player(StreamOptions(), LINE, answers=False)
    player.play(1.5)
    player.send(Finalize())
    player.send(CloseStream())
    seen = player.answer(1)
    assert [type(e).__name__ for e in seen] == ["Results", "Metadata", "Closed"]
    assert finals(seen)[0].from_finalize


def test_after_close_nothing_counts_any_more() -> None:
    player = Player(StreamOptions(), LINE, answers=False)
    player.play(1.5)
    player.send(CloseStream())
    received = player.machine.received_samples
    assert player.play(2.0) == []
    for item in (Finalize(), CloseStream(), KeepAlive(), Tick(), Shutdown()):
        assert player.send(item, at=player.now + 20) == []
    assert player.machine.received_samples == received
    player.answer(1)
    assert player.events[-2:] == [Metadata(received, 1), Closed(1000, "")]
    assert player.play(2.5) == []


def test_shutdown_flushes_and_closes_with_1001() -> None:
    player = Player(StreamOptions(), LINE)
    player.play(1.5)
    seen = player.send(Shutdown())
    assert said(finals(seen)) == ["one", "two", "three"]
    assert seen[-2:] == [Metadata(samples(1.5), 1), Closed(1001, "")]


def test_abort_closes_at_once_and_calls_everything_off() -> None:
    player = Player(StreamOptions(interim_results=True), LINE, answers=False)
    player.play(1.5)
    assert player.send(Abort(1008, "DATA-0000")) == [Closed(1008, "DATA-0000")]
    assert player.waiting == {}


def test_a_decode_that_nobody_took_yet_is_not_given_out_after_abort() -> None:
    player = Player(StreamOptions(), LINE, answers=False)
    machine = player.machine
    machine.receive(Audio(ramp(0, LINE.length_samples)[None], (LINE.probabilities(),)), 1.0)
    machine.receive(Abort(1011, "internal error"), 1.0)
    assert machine.jobs() == []
    assert machine.cancelled() == []
    assert closing(machine.events()) == Closed(1011, "internal error")
