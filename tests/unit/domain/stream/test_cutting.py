from __future__ import annotations

import numpy as np

from app.domain.audio import Pcm16k
from app.domain.stream.cutting import Cut, best_cut
from app.domain.stream.options import WINDOW_SAMPLES

LOUD = np.full(20 * WINDOW_SAMPLES, 0.5, dtype=np.float32)
PAUSE = 3 * WINDOW_SAMPLES
MARGIN = 4 * WINDOW_SAMPLES


def cut(voiced: str, probabilities: list[float] | None = None, pcm: Pcm16k = LOUD) -> Cut:
    flags = [mark == "v" for mark in voiced]
    values = probabilities or [0.9 if flag else 0.1 for flag in flags]
    return best_cut(values, flags, pcm, PAUSE, MARGIN)


def test_it_cuts_in_the_middle_of_the_longest_pause() -> None:
    assert cut("vvv...vvvv.....vvvvv") == Cut(12 * WINDOW_SAMPLES + WINDOW_SAMPLES // 2, in_pause=True)


def test_of_equal_pauses_the_later_wins() -> None:
    assert cut("vv....vvvvvvvv....vv") == Cut(16 * WINDOW_SAMPLES, in_pause=True)


def test_a_pause_may_reach_to_either_end() -> None:
    assert cut("vvvvvvvvvvvvvvvv....") == Cut(18 * WINDOW_SAMPLES, in_pause=True)
    assert cut("....vvvvvvvvvvvvvvvv") == Cut(2 * WINDOW_SAMPLES, in_pause=True)


def test_a_closure_is_no_pause_but_the_least_speech_like_place() -> None:
    assert cut("vvvvvvv..vvvvvvvvvvv") == Cut(8 * WINDOW_SAMPLES + WINDOW_SAMPLES // 2, in_pause=False)


def test_without_any_pause_the_lowest_probability_decides() -> None:
    values = [0.9] * 20
    values[5] = 0.6
    assert cut("v" * 20, values) == Cut(5 * WINDOW_SAMPLES + WINDOW_SAMPLES // 2, in_pause=False)


def test_among_like_probabilities_the_quietest_window_decides() -> None:
    pcm = LOUD.copy()
    pcm[7 * WINDOW_SAMPLES : 8 * WINDOW_SAMPLES] = 0.01
    values = [0.98, 0.97] * 10
    assert cut("v" * 20, values, pcm) == Cut(7 * WINDOW_SAMPLES + WINDOW_SAMPLES // 2, in_pause=False)


def test_a_cut_in_speech_leaves_room_for_the_overlap() -> None:
    values = [0.9] * 18 + [0.4, 0.4]
    assert cut("v" * 20, values).offset_samples <= 20 * WINDOW_SAMPLES - MARGIN


def test_broken_samples_do_not_decide() -> None:
    pcm = LOUD.copy()
    pcm[3] = np.nan
    pcm[9 * WINDOW_SAMPLES : 10 * WINDOW_SAMPLES] = 0.1
    assert cut("v" * 20, None, pcm) == Cut(9 * WINDOW_SAMPLES + WINDOW_SAMPLES // 2, in_pause=False)
