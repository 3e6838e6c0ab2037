"""A decode that fails for good must neither hang the stream nor shift what follows."""

from __future__ import annotations

from app.domain.audio import samples
from app.domain.stream.events import Closed, CloseStream, Decoded, Metadata, SegmentLost
from app.domain.stream.options import StreamOptions
from app.domain.transcript import Hypothesis
from tests.support.script import Player, assert_tiles, finals, said, talk, utterance_ends

TWO = talk((0.5, "one"), (2.0, "two"), length_s=4.0)


def test_its_final_is_empty_and_the_loss_is_reported() -> None:
    player = Player(StreamOptions(), TWO, answers=False)
    player.play(1.5)
    final, lost = player.fail(1)
    assert finals([final])[0].words == ()
    assert finals([final])[0].speech_final
    assert finals([final])[0].is_lost
    assert lost == SegmentLost(0, 0, finals([final])[0].duration_samples)


def test_the_timeline_goes_on() -> None:
    player = Player(StreamOptions(), TWO, answers=False)
    player.play()
    player.send(CloseStream())
    player.fail(1)
    player.answer(2)
    assert said(finals(player.events)) == ["two"]
    assert_tiles(finals(player.events), TWO.length_samples)
    assert player.events[-2:] == [Metadata(TWO.length_samples, 1), Closed(1000, "")]


def test_a_close_does_not_wait_for_it() -> None:
    player = Player(StreamOptions(), TWO, answers=False)
    player.play(0.9)
    player.send(CloseStream())
    assert [type(e).__name__ for e in player.fail(1)] == ["Results", "SegmentLost", "Metadata", "Closed"]


def test_after_a_cut_inside_speech_the_next_decode_keeps_what_it_heard_of_the_lost_part() -> None:
    line = talk((0.2, " ".join(f"w{i}" for i in range(80))), length_s=25.0)
    player = Player(StreamOptions(), line, answers=False)
    player.play()
    player.send(CloseStream())
    lost, *kept = list(player.waiting)
    edge = player.asked[0].start_samples + len(player.asked[0].pcm) - samples(0.3)
    player.fail(lost)
    for job_id in kept:
        player.answer(job_id)
    expected = [w.text for w in line.words if (w.start_s + w.end_s) / 2 >= edge / 16_000 - 0.3]
    assert said(finals(player.events)) == expected
    assert_tiles(finals(player.events), line.length_samples)


def test_an_empty_hypothesis_is_a_result() -> None:
    player = Player(StreamOptions(utterance_end_s=1.0), TWO, answers=False)
    player.play(1.5)
    seen = player.send(Decoded(1, Hypothesis((), "de")))
    assert [(f.words, f.language) for f in finals(seen)] == [((), "de")]
    assert not [e for e in seen if isinstance(e, SegmentLost)]
    assert utterance_ends(player.play()) == []


def test_the_backlog_is_the_audio_whose_final_is_owed() -> None:
    player = Player(StreamOptions(), TWO, answers=False)
    player.play(0.9)
    assert player.machine.backlog_samples == 0
    player.play()
    owed = player.machine.backlog_samples
    assert owed > samples(2.0)
    player.answer(1)
    assert 0 < player.machine.backlog_samples < owed
    player.answer(2)
    assert player.machine.backlog_samples == 0
