"""UtteranceEnd: from gaps between words, whatever the endpoint does."""

from __future__ import annotations

import pytest

from app.domain.stream.events import CloseStream, Finalize, UtteranceEnd
from app.domain.stream.options import StreamOptions
from tests.support.script import Player, Talk, finals, said, talk, text, utterance_ends

PAUSES = talk((0.5, "one"), (1.4, "two"), (4.0, "three four"), length_s=9.0)
ENDS = [1.65, 4.55]


@pytest.mark.parametrize("endpointing_s", [0.01, 0.5, 3.0, 5.0, None])
@pytest.mark.parametrize("interim_results", [True, False])
def test_it_comes_once_per_pause_whatever_the_endpointing_and_the_interims(
    endpointing_s: float | None, interim_results: bool
) -> None:
    options = StreamOptions(endpointing_s=endpointing_s, interim_results=interim_results, utterance_end_s=1.0)
    player = Player(options, PAUSES)
    player.play()
    assert utterance_ends(player.events) == pytest.approx(ENDS)


def test_it_comes_when_the_gap_is_long_enough_and_not_before() -> None:
    player = Player(StreamOptions(utterance_end_s=1.5, endpointing_s=0.5), PAUSES)
    player.play(1.65 + 1.5 - 0.01)
    assert utterance_ends(player.events) == []
    player.play(1.65 + 1.5 + 0.033)
    assert utterance_ends(player.events) == pytest.approx([1.65])


def test_a_segment_that_is_still_open_is_finalised_first() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0, endpointing_s=4.0), PAUSES)
    player.play()
    kinds = [event for event in player.events if isinstance(event, UtteranceEnd) or finals([event])]
    first = kinds.index(UtteranceEnd(0, 1, pytest.approx(1.65)))  # type: ignore[arg-type]
    before = finals(kinds[:first])
    assert said(before) == ["one", "two"]
    assert not before[-1].speech_final


def test_it_waits_for_a_late_final_and_follows_it() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), talk((0.5, "one"), length_s=4.0), answers=False)
    player.play()
    assert utterance_ends(player.events) == []
    seen = player.answer(1)
    assert said(finals(seen[:1])) == ["one"]
    assert utterance_ends(seen[1:2]) == [0.75]


def test_a_late_final_does_not_move_it_behind_the_words_that_follow() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), PAUSES, answers=False)
    player.play()
    for job_id in list(player.waiting):
        player.answer(job_id)
    kinds = [text(f) if finals([f]) else "end" for f in player.events if isinstance(f, UtteranceEnd) or finals([f])]
    assert [kind for kind in kinds if kind] == ["one", "two", "end", "three four", "end"]


def test_speech_without_words_does_not_hide_the_gap() -> None:
    noisy = Talk(PAUSES.words[:2], 6.0, noise=((2.1, 2.6),))
    player = Player(StreamOptions(utterance_end_s=1.0), noisy)
    player.play()
    assert utterance_ends(player.events) == pytest.approx([1.65])


def test_a_gap_that_noise_hid_is_reported_before_the_words_that_follow_it() -> None:
    noisy = Talk(talk((0.5, "one"), (2.4, "two"), length_s=4.0).words, 4.0, noise=((1.2, 2.4),))
    player = Player(StreamOptions(utterance_end_s=1.0), noisy)
    player.play()
    kinds = [text(f) if finals([f]) else "end" for f in player.events if isinstance(f, UtteranceEnd) or finals([f])]
    assert [kind for kind in kinds if kind] == ["one", "end", "two", "end"]


def test_speech_that_starts_in_time_prevents_it() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), talk((0.5, "one"), (1.6, "two"), (2.7, "three"), length_s=3.0))
    player.play()
    assert utterance_ends(player.events) == []
    player.send(CloseStream())
    assert utterance_ends(player.events) == pytest.approx([2.95])


def test_it_follows_the_words_of_a_finalize_too() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), talk((0.5, "one"), length_s=4.0))
    player.play(0.8)
    player.send(Finalize())
    assert utterance_ends(player.events) == []
    player.play()
    assert utterance_ends(player.events) == [0.75]


def test_without_words_there_is_none() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), Talk((), 8.0, noise=((1.0, 2.0),)))
    player.play()
    player.send(CloseStream())
    assert utterance_ends(player.events) == []


def test_it_is_off_unless_asked_for() -> None:
    player = Player(StreamOptions(), PAUSES)
    player.play()
    player.send(CloseStream())
    assert utterance_ends(player.events) == []


def test_each_channel_has_its_own() -> None:
    player = Player(StreamOptions(channels=2, utterance_end_s=1.0), PAUSES, talk((2.0, "five"), length_s=9.0))
    player.play()
    assert utterance_ends(player.events, 0) == pytest.approx(ENDS)
    assert utterance_ends(player.events, 1) == pytest.approx([2.25])
