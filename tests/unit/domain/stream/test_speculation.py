"""The final's decode starts early in the pause, and its result is used only if the pause lasts."""

from __future__ import annotations

import numpy as np
import pytest

from app.domain.audio import samples, seconds
from app.domain.ports import JobClass
from app.domain.stream.events import Audio, CloseStream, Finalize
from app.domain.stream.machine import StreamMachine
from app.domain.stream.options import StreamOptions
from tests.support.script import Player, finals, interims, said, talk, text

ONE = talk((0.512, "how are you"), length_s=4.0)
END_S = seconds(-(-samples(ONE.words[-1].end_s) // 512) * 512)
TWO_PAUSES = talk((0.5, "one"), (1.2, "two"), (1.9, "three"), length_s=4.0)


def slow(talk_: object = ONE, **options: object) -> Player:
    return Player(StreamOptions(**{"endpointing_s": 0.5, **options}), talk_, answers=False)  # type: ignore[arg-type]


def test_the_decode_starts_with_the_first_window_of_the_pause() -> None:
    player = slow()
    player.play(END_S + 0.03)
    assert player.asked == []
    player.play(END_S + 0.04)
    (job,) = player.asked
    assert job.job_class is JobClass.SPECULATION
    assert finals(player.events) == []


def test_a_result_that_is_there_goes_out_in_the_moment_of_the_endpoint() -> None:
    player = slow()
    player.play(END_S + 0.1)
    assert player.answer(1) == []
    seen = player.play(END_S + 0.54)
    assert text(finals(seen)[0]) == "how are you"
    assert len(player.asked) == 1


def test_a_result_that_comes_after_the_endpoint_goes_out_when_it_comes() -> None:
    player = slow()
    player.play(2.0)
    assert finals(player.events) == []
    assert player.decided == [(1, JobClass.FINAL)]
    assert [text(f) for f in finals(player.answer(1))] == ["how are you"]
    assert len(player.asked) == 1


def test_the_final_is_the_same_whether_its_decode_was_early_or_late() -> None:
    early, late = slow(), slow()
    early.play(END_S + 0.1)
    early.answer(1)
    early.play(2.0)
    late.play(2.0)
    late.answer(1)
    assert finals(early.events) == finals(late.events)


def test_when_speech_goes_on_the_decode_is_called_off_and_the_next_pause_asks_anew() -> None:
    player = slow(TWO_PAUSES)
    player.play(1.3)
    assert player.cancelled == [1]
    player.play()
    assert player.cancelled == [1, 2]
    (job,) = player.waiting.values()
    assert text(finals(player.answer(job.job_id))[0]) == "one two three"
    first = player.asked[0]
    assert np.array_equal(first.pcm, job.pcm[: len(first.pcm)])


def test_a_result_from_before_speech_went_on_is_not_the_final() -> None:
    player = slow(TWO_PAUSES)
    for until_s, job_id in ((1.0, 1), (1.7, 2), (4.0, 3)):
        player.play(until_s)
        assert list(player.waiting) == [job_id]
        player.answer(job_id)
    assert said(finals(player.events)) == ["one", "two", "three"]


def test_a_called_off_decode_that_was_never_given_out_leaves_no_trace() -> None:
    player = slow(TWO_PAUSES)
    player.play(blocks=[64_000])  # all at once: the pauses are over before anyone looks
    assert [(job.job_id, job.job_class) for job in player.asked] == [(3, JobClass.FINAL)]
    assert player.cancelled == []


def test_with_interims_the_decode_goes_on_as_an_interim() -> None:
    player = slow(TWO_PAUSES, interim_results=True, first_interim_s=10.0)
    player.play(1.4)
    assert player.cancelled == []
    assert player.decided == [(1, JobClass.INTERIM)]
    (shown,) = interims(player.answer(1))
    assert text(shown) == "one"


def test_a_result_that_waits_for_its_endpoint_is_shown_as_an_interim() -> None:
    player = slow(interim_results=True, first_interim_s=10.0)
    player.play(END_S + 0.3)
    (shown,) = interims(player.answer(1))
    assert text(shown) == "how are you"
    assert not shown.speech_final
    assert shown.end_samples == samples(END_S + 0.3) // 512 * 512  # nothing was said since it was asked for


def test_finalize_uses_the_decode_that_is_under_way() -> None:
    player = slow()
    player.play(END_S + 0.2)
    player.send(Finalize())
    assert len(player.asked) == 1
    (final,) = finals(player.answer(1))
    assert (text(final), final.from_finalize) == ("how are you", True)


def test_finalize_before_the_hangover_has_arrived_decodes_what_is_there() -> None:
    player = slow()
    player.play(END_S + 0.02)
    player.send(CloseStream())
    (job,) = player.asked
    assert job.job_class is JobClass.FINALIZE
    assert job.start_samples + len(job.pcm) == samples(END_S + 0.02)


class TestSomethingAfterTheVoice:
    """A final stop: its closure is the end for the detector, its burst comes in the second or third window after that."""

    AUDIO = np.full(64_000, 0.001, np.float32)
    SPEECH_END = 16_384

    def play(self, burst_at: int | None, block: int = 320) -> tuple[list[tuple[int, JobClass]], list[int]]:
        """Where the decodes asked for end, and which were called off."""
        audio = self.AUDIO.copy()
        audio[8_192 : self.SPEECH_END] = 0.1
        if burst_at is not None:
            audio[burst_at : burst_at + 160] = 0.02
        probabilities = np.repeat(np.float32([0, 1, 0]), [16, 16, 93])
        machine = StreamMachine(StreamOptions(endpointing_s=0.3), 0.0)
        ends, cancelled = [], []
        for start in range(0, len(audio), block):
            end = min(start + block, len(audio))
            machine.receive(Audio(audio[np.newaxis, start:end], (probabilities[start // 512 : end // 512],)), 0.0)
            cancelled += machine.cancelled()
            ends += [(job.start_samples + len(job.pcm) - self.SPEECH_END, job.job_class) for job in machine.jobs()]
        return ends, cancelled

    def test_stillness_is_not_decoded(self) -> None:
        assert self.play(None) == ([(512, JobClass.SPECULATION)], [])

    @pytest.mark.parametrize("after", [600, 1_300])
    def test_a_burst_is_decoded_as_soon_as_all_of_the_hangover_is_there(self, after: int) -> None:
        assert self.play(self.SPEECH_END + after) == ([(512, JobClass.SPECULATION), (1_536, JobClass.SPECULATION)], [1])

    @pytest.mark.parametrize("after", [100, 1_600, 3_000])
    def test_sound_in_the_first_window_or_after_the_hangover_changes_nothing(self, after: int) -> None:
        assert self.play(self.SPEECH_END + after) == ([(512, JobClass.SPECULATION)], [])

    @pytest.mark.parametrize("after", [100, 600, 1_300, 1_600])
    def test_the_decode_of_the_final_does_not_depend_on_how_the_audio_is_split(self, after: int) -> None:
        burst_at = self.SPEECH_END + after
        last = {self.play(burst_at, block)[0][-1][0] for block in (320, 512, 777, 5_000, 64_000)}
        assert len(last) == 1


def test_a_failed_early_decode_is_tried_again_at_the_endpoint() -> None:
    player = slow()
    player.play(END_S + 0.1)
    player.fail(1)
    player.play(2.0)
    assert [text(f) for f in finals(player.answer(2))] == ["how are you"]


def test_at_most_one_decode_of_the_open_segment_is_in_flight() -> None:
    player = slow(TWO_PAUSES, interim_results=True)
    while player.position < TWO_PAUSES.length_samples:
        player.play((player.position + 320) / 16_000)
        assert len(player.waiting) <= 1
