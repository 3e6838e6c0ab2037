"""The detector: lists of probabilities in, voices and silences out."""

from __future__ import annotations

import math

from app.domain.stream.endpointing import Endpointer, Voice
from app.domain.stream.options import WINDOW_SAMPLES

Q, M, N, S = Voice.QUIET, Voice.MAYBE, Voice.ONSET, Voice.SPEECH


def fresh(min_windows: int = 2) -> Endpointer:
    return Endpointer(on=0.5, off=0.35, min_speech_samples=min_windows * WINDOW_SAMPLES)


def feed(ear: Endpointer, *probabilities: float) -> list[Voice]:
    return [ear.feed(probability) for probability in probabilities]


def test_speech_needs_two_voiced_windows_and_starts_with_the_first() -> None:
    ear = fresh()
    assert feed(ear, 0.1, 0.1, 0.9, 0.9, 0.9) == [Q, Q, M, N, S]
    assert ear.burst_start_samples == 2 * WINDOW_SAMPLES
    assert ear.speech_end_samples == 5 * WINDOW_SAMPLES


def test_it_turns_on_at_half_and_off_below_thirty_five_hundredths() -> None:
    assert feed(fresh(1), 0.49, 0.5, 0.35, 0.36, 0.34, 0.4, 0.49, 0.5) == [Q, N, S, S, Q, Q, Q, N]


def test_a_click_is_no_speech_and_does_not_shorten_the_silence() -> None:
    ear = fresh()
    feed(ear, 0.9, 0.9, 0.1, 0.1, 0.9)
    assert ear.silence_samples == 2 * WINDOW_SAMPLES  # not known yet what the voiced window is
    assert feed(ear, 0.1) == [Q]
    assert ear.silence_samples == 4 * WINDOW_SAMPLES


def test_silence_counts_from_the_end_of_speech() -> None:
    ear = fresh()
    feed(ear, 0.9, 0.9)
    assert ear.silence_samples == 0
    feed(ear, 0.1, 0.1, 0.1)
    assert ear.silence_samples == 3 * WINDOW_SAMPLES


def test_before_any_speech_silence_counts_from_the_start() -> None:
    ear = fresh()
    feed(ear, 0.0, 0.0, 0.0)
    assert ear.speech_end_samples is None
    assert ear.silence_samples == 3 * WINDOW_SAMPLES


def test_an_onset_tells_the_silence_before_it() -> None:
    ear = fresh()
    feed(ear, 0.9, 0.9)
    assert ear.gap_samples is None
    feed(ear, 0.1, 0.1, 0.1, 0.9)
    assert feed(ear, 0.9) == [N]
    assert ear.gap_samples == 3 * WINDOW_SAMPLES


def test_after_a_restart_speech_that_goes_on_must_prove_itself_again() -> None:
    ear = fresh()
    feed(ear, 0.9, 0.9, 0.9)
    ear.restart(1700)
    assert ear.quiet_until_samples == 1700
    assert feed(ear, 0.9, 0.9) == [M, N]
    assert ear.burst_start_samples == 1700


def test_a_restart_in_silence_changes_nothing() -> None:
    ear = fresh()
    feed(ear, 0.9, 0.9, 0.1)
    ear.restart(1600)
    assert ear.burst_start_samples is None
    assert feed(ear, 0.9, 0.9) == [M, N]


def test_what_is_not_a_number_is_silence() -> None:
    assert feed(fresh(1), math.nan, 0.9, math.nan) == [Q, N, Q]
