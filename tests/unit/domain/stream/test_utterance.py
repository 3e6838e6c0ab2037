from __future__ import annotations

from app.domain.stream.utterance import UtteranceGaps
from app.domain.transcript import Word


def words(*spans: tuple[float, float]) -> tuple[Word, ...]:
    return tuple(Word("w", start_s, end_s, 0.9) for start_s, end_s in spans)


def test_a_pause_is_reported_once_when_it_is_long_enough() -> None:
    gaps = UtteranceGaps(1.0)
    assert gaps.words(words((0.5, 1.0))) == []
    assert gaps.quiet_until(1.99) is None
    assert gaps.quiet_until(2.0) == 1.0
    assert gaps.quiet_until(60.0) is None


def test_nothing_is_reported_before_a_word() -> None:
    assert UtteranceGaps(1.0).quiet_until(60.0) is None


def test_a_new_word_arms_it_again() -> None:
    gaps = UtteranceGaps(1.0)
    gaps.words(words((0.0, 0.5)))
    assert gaps.quiet_until(1.5) == 0.5
    gaps.words(words((2.0, 2.5)))
    assert gaps.quiet_until(3.0) is None
    assert gaps.quiet_until(3.5) == 2.5


def test_gaps_inside_one_final_are_found() -> None:
    gaps = UtteranceGaps(1.0)
    assert gaps.words(words((0.0, 0.5), (1.4, 1.5), (2.5, 3.0), (5.0, 5.5))) == [1.5, 3.0]


def test_a_final_without_words_leaves_the_last_word_where_it_was() -> None:
    gaps = UtteranceGaps(1.0)
    gaps.words(words((0.0, 0.5)))
    assert gaps.words(()) == []
    assert gaps.quiet_until(1.5) == 0.5


def test_it_can_be_off() -> None:
    gaps = UtteranceGaps(None)
    assert gaps.words(words((0.0, 0.5), (9.0, 9.5))) == []
    assert gaps.quiet_until(60.0) is None
