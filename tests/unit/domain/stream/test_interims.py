"""Interims: early, paced, never needed, never out of order."""

from __future__ import annotations

from itertools import pairwise

import pytest

from app.domain.audio import samples
from app.domain.ports import JobClass
from app.domain.stream.events import Decoded, Finalize
from app.domain.stream.options import StreamOptions
from tests.support.script import Player, finals, hypothesis, interims, said, talk, text

LINE = talk((1.024, "a1 a2 a3 a4 a5 a6 a7 a8 a9 b1 b2 b3"), length_s=8.0)
OPTIONS = StreamOptions(interim_results=True, endpointing_s=0.5)


def test_the_first_comes_four_tenths_of_a_second_into_speech() -> None:
    player = Player(OPTIONS, LINE)
    player.play(1.024 + 0.39)
    assert player.asked == []
    player.play(1.024 + 0.45)
    assert [job.job_class for job in player.asked] == [JobClass.INTERIM]


def test_each_restates_the_whole_segment_with_the_same_start_and_a_growing_duration() -> None:
    player = Player(OPTIONS, LINE)
    player.play(4.5)
    shown = interims(player.events)
    assert len(shown) > 6
    assert {i.start_samples for i in shown} == {0}
    assert all(a.duration_samples < b.duration_samples for a, b in pairwise(shown))
    assert all(said([b])[: len(a.words)] == said([a]) for a, b in pairwise(shown))
    assert text(shown[-1]).startswith("a1 a2 a3 a4 a5 a6 a7 a8 a9")


def test_they_are_never_final() -> None:
    player = Player(OPTIONS, LINE)
    player.play()
    assert not any(i.speech_final or i.from_finalize for i in interims(player.events))


def test_without_the_option_there_are_none() -> None:
    player = Player(StreamOptions(endpointing_s=0.5), LINE)
    player.play()
    assert interims(player.events) == []
    assert all(job.job_class is JobClass.SPECULATION for job in player.asked)


@pytest.mark.parametrize(("took_s", "gap_s"), [(0.02, 0.3), (0.5, 0.6), (1.0, 1.2)])
def test_the_next_waits_in_proportion_to_the_last(took_s: float, gap_s: float) -> None:
    player = Player(OPTIONS, LINE, answers=False)
    player.play(1.5)
    asked_at = player.now
    player.play(1.5 + took_s)
    player.answer(1)
    player.play(1.5 + gap_s - 0.08)
    assert len(player.asked) == 1
    player.play(1.5 + gap_s + 0.04)
    assert len(player.asked) == 2
    assert player.now - asked_at < gap_s + 0.1


def test_there_is_one_at_a_time() -> None:
    player = Player(OPTIONS, LINE, answers=False)
    player.play(4.0)
    assert len(player.asked) == 1


def test_nothing_new_voiced_means_no_new_interim() -> None:
    options = StreamOptions(interim_results=True, endpointing_s=None, longest_pause_s=10.0)
    player = Player(options, talk((0.5, "one two three"), length_s=6.0))  # speech until 1.35 s
    player.play()
    assert max(job.start_samples + len(job.pcm) for job in player.asked) < samples(1.7)


def test_a_pause_calls_the_interim_off_for_the_final() -> None:
    player = Player(OPTIONS, talk((0.5, "one two three"), length_s=4.0), answers=False)
    player.play(1.0)
    assert list(player.waiting) == [1]
    player.play(1.6)
    assert player.cancelled == [1]
    assert [job.job_class for job in player.waiting.values()] == [JobClass.SPECULATION]


def test_a_late_duplicate_or_unknown_hypothesis_is_dropped() -> None:
    player = Player(OPTIONS, talk((0.5, "one two three"), length_s=4.0), answers=False)
    player.play(1.6)
    invented = hypothesis(talk((0.1, "nonsense"), length_s=1.0).words)
    assert player.send(Decoded(1, invented)) == []  # cancelled
    player.answer(2)
    assert player.send(Decoded(2, invented)) == []  # answered before
    assert player.send(Decoded(99, invented)) == []  # never asked
    player.play()
    assert said(finals(player.events)) == ["one", "two", "three"]


def test_no_interim_of_the_next_segment_comes_before_a_final_that_is_owed() -> None:
    player = Player(OPTIONS, talk((0.5, "one two three"), (2.5, "four five six seven"), length_s=6.0), answers=False)
    seen = player.play(3.4)
    assert player.decided == [(job_id, JobClass.FINAL) for job_id in player.waiting]
    assert not any(i.start_samples for i in interims(seen))
    (final_job,) = player.waiting
    seen = player.answer(final_job)
    assert text(finals(seen)[0]) == "one two three"
    assert [job.job_class for job in player.waiting.values()] == [JobClass.INTERIM]


def test_the_hypothesis_of_a_segment_that_has_ended_is_not_shown() -> None:
    player = Player(OPTIONS, LINE, answers=False)
    player.play(2.0)
    player.send(Finalize())
    assert player.cancelled == [1]


def test_silence_is_told_every_second() -> None:
    player = Player(OPTIONS, talk(length_s=6.5))
    player.play()
    assert [(i.start_s, i.duration_s) for i in interims(player.events)] == [(0, 1), (0, 2), (0, 3), (4, 1), (4, 2)]
    assert [(f.start_s, f.duration_s) for f in finals(player.events)] == [(0, 4)]


def test_after_a_late_final_silence_is_told_up_to_now_at_once() -> None:
    player = Player(OPTIONS, talk((0.5, "one two three"), length_s=5.0), answers=False)
    player.play(4.5)
    (job_id,) = player.waiting
    assert interims(player.events) == []
    player.answer(job_id)
    shown = interims(player.play(4.8))
    assert len(shown) == 1
    assert samples(4.4) < shown[0].end_samples <= samples(4.6)


def test_in_a_pause_that_is_no_endpoint_yet_the_words_are_said_again_every_second() -> None:
    options = StreamOptions(interim_results=True, endpointing_s=None, longest_pause_s=10.0)
    player = Player(options, talk((0.5, "one two three"), length_s=6.0))
    player.play()
    shown = [i for i in interims(player.events) if i.end_samples > samples(1.5)]
    assert len(shown) >= 4
    assert {text(i) for i in shown} == {"one two three"}
    assert all(0 < b.end_samples - a.end_samples <= samples(1.05) for a, b in pairwise(shown))


def test_a_late_hypothesis_does_not_take_back_audio_that_was_covered() -> None:
    options = StreamOptions(interim_results=True, endpointing_s=1.6)
    player = Player(options, talk((0.5, "one two three"), (2.8, "four five"), length_s=6.0))
    player.play(1.9)
    player.answers = False
    player.play(2.9)  # silence is told meanwhile, while the early decode of the pause is under way; then speech goes on
    covered = interims(player.events)[-1].end_samples
    (job_id,) = player.waiting
    (late,) = interims(player.answer(job_id))
    assert late.end_samples == covered > samples(2.4)


def test_words_that_two_hypotheses_share_are_marked_stable_and_stay() -> None:
    player = Player(OPTIONS, LINE, answers=False)
    readings = ("a1 b2", "a1 b3 a3", "x9 b3 a3 a4")
    shown = []
    for job_id, reading in enumerate(readings, start=1):
        player.play(1.5 + 0.5 * job_id)
        words = talk((0.3, reading), length_s=4.0).words
        player.waiting.pop(job_id)
        shown += interims(player.send(Decoded(job_id, hypothesis(words))))
    assert [(text(i), i.stable_words) for i in shown] == [("a1 b2", 0), ("a1 b3 a3", 1), ("a1 b3 a3 a4", 3)]


def test_a_failed_interim_costs_nothing_but_itself() -> None:
    player = Player(OPTIONS, LINE, answers=False)
    player.play(1.6)
    assert player.fail(1) == []
    player.play(2.2)
    (shown,) = interims(player.answer(2))
    assert said([shown]) == ["a1", "a2", "a3", "a4"][: len(shown.words)] != []


def test_a_stream_faster_than_real_time_gets_fewer_interims_and_the_same_finals() -> None:
    slow, fast = Player(OPTIONS, LINE), Player(OPTIONS, LINE)
    slow.play()
    fast.play(speed=50.0)
    assert len([j for j in fast.asked if j.job_class is JobClass.INTERIM]) <= 1
    assert len([j for j in slow.asked if j.job_class is JobClass.INTERIM]) > 6
    assert finals(fast.events) == finals(slow.events)


def test_after_a_cut_inside_speech_the_word_before_the_seam_is_not_shown_again() -> None:
    line = talk((0.2, " ".join(f"w{i}" for i in range(90))), length_s=28.0)
    player = Player(OPTIONS, line)
    player.play(20.0)
    spoken = said(finals(player.events))
    shown = said(interims(player.events)[-1:])
    assert spoken
    assert shown
    assert line.text[: len(spoken) + len(shown)] == spoken + shown
