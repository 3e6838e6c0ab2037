"""When a decode is ended, on tokens of a small vocabulary: even ids begin a word."""

from __future__ import annotations

import numpy as np
import pytest

from app.engines.loop_stop import LEAST_TOKENS, LONGEST_PHRASE, LoopStop

END = 100
STAMP = 120


def stop() -> LoopStop:
    return LoopStop(lambda token: b" a" if token % 2 == 0 else b"a", END)


@pytest.mark.parametrize(
    ("phrase", "copies"),
    [([2], 12), ([2, 3], 12), ([2, 4], 7), ([2, 3, 4], 7), ([2, 4, 6], 5), ([3], 12), (list(range(2, 26)), 5)],
)
def test_a_phrase_is_a_loop_once_the_guards_would_cut_it(phrase: list[int], copies: int) -> None:
    before = [50, 51, 52]
    assert stop().is_loop(before + copies * phrase)
    assert not stop().is_loop(before + (copies - 1) * phrase)


def test_what_comes_after_copies_is_no_loop() -> None:
    assert not stop().is_loop([2] * 20 + [4])


@pytest.mark.parametrize("text", [[], [2], list(range(60)), (LONGEST_PHRASE + 1) * [2, 4]])
def test_only_what_repeats_is_one(text: list[int]) -> None:
    assert stop().is_loop(text) == (text.count(4) > 10)


def test_nothing_changes_before_the_library_can_judge_an_attempt_itself() -> None:
    logits = np.zeros(200, np.float32)
    stop().lift([2] * (LEAST_TOKENS - 1), logits)
    assert not logits.any()


def test_a_loop_leaves_only_the_end_of_the_text() -> None:
    logits = np.zeros(200, np.float32)
    logits[7] = 30.0
    stop().lift([2] * LEAST_TOKENS, logits)
    assert logits[END] - logits[7] >= 50
    assert np.count_nonzero(logits) == 2


def test_timestamps_between_copies_do_not_hide_them() -> None:
    said = [token for time in range(16) for token in (STAMP + 2 * time, 2, 4, 6, STAMP + 2 * time + 1)]
    logits = np.zeros(200, np.float32)
    stop().lift(said, logits)
    assert logits[END] > 0
