from __future__ import annotations

import math

from app.domain.stream.placement import Placement, clamped, own_words
from app.domain.transcript import Word
from tests.support.script import hypothesis


def word(text: str, start_s: float, end_s: float) -> Word:
    return Word(text, start_s, end_s, 0.9)


def texts(words: tuple[Word, ...]) -> list[str]:
    return [w.text for w in words]


def test_times_are_moved_to_the_stream() -> None:
    moved = own_words(hypothesis([word("a", 0.5, 1.0)]), Placement(16_000, 8_000, 64_000), None)
    assert moved == (word("a", 1.5, 2.0),)


def test_words_are_clamped_to_their_segment_and_in_order() -> None:
    words = [word("a", -1.0, 0.2), word("b", 1.5, 1.4), word("c", 1.2, 9.0), word("d", 8.0, 9.0)]
    assert clamped(words, 16_000, 32_000) == (
        word("a", 1.0, 1.0),
        word("b", 1.5, 1.5),
        word("c", 1.5, 2.0),
        word("d", 2.0, 2.0),
    )


def test_times_that_are_no_numbers_take_their_neighbours_place() -> None:
    heard = own_words(
        hypothesis([word("a", 0.1, 0.2), word("b", math.nan, math.inf), word("c", -math.inf, 0.5)]),
        Placement(0, 0, 16_000),
        None,
    )
    assert clamped(heard, 0, 16_000) == (word("a", 0.1, 0.2), word("b", 0.2, 0.2), word("c", 0.2, 0.5))


def test_before_an_overlapped_edge_words_count_by_their_middle() -> None:
    said = hypothesis([word("in", 0.5, 0.9), word("mostly", 0.8, 1.1), word("hardly", 0.95, 1.3), word("out", 1.3, 1.5)])
    assert texts(own_words(said, Placement(0, 0, 16_000, overlaps_after=True), None)) == ["in", "mostly"]


def test_after_an_overlapped_edge_comes_what_was_not_said() -> None:
    said = hypothesis([word("ostly", 0.0, 0.2), word("hardly", 0.25, 0.6), word("out", 0.6, 0.9)])
    place = Placement(14_400, 16_000, 64_000, overlaps_before=True)
    assert texts(own_words(said, place, word("mostly", 0.8, 1.1))) == ["hardly", "out"]


def test_where_nothing_overlaps_no_word_is_dropped_whatever_the_times_of_the_last_one() -> None:
    said = hypothesis([word("a", 0.0, 0.2), word("b", 0.2, 0.4)])
    assert texts(own_words(said, Placement(16_000, 16_000, 64_000), word("b", 0.8, 9.0))) == ["a", "b"]


def test_the_same_word_at_the_edge_is_one_word_though_the_two_decodes_time_it_differently() -> None:
    place = Placement(16_000, 16_000, 64_000, overlaps_before=True)
    said = hypothesis([word("Place,", 0.05, 0.5), word("here", 0.6, 0.9)])
    assert texts(own_words(said, place, word("place", 0.8, 1.1))) == ["here"]


def test_a_last_word_that_was_stretched_hides_nothing() -> None:
    place = Placement(14_400, 16_000, 64_000, overlaps_before=True)
    said = hypothesis([word("the", 0.0, 0.15), word("open", 0.2, 0.4), word("window", 0.4, 0.8)])
    assert texts(own_words(said, place, word("the", 0.8, 1.6))) == ["open", "window"]


def test_a_word_said_twice_is_two_words() -> None:
    place = Placement(16_000, 16_000, 64_000, overlaps_before=True)
    said = hypothesis([word("no", 0.15, 0.4)])
    assert texts(own_words(said, place, word("no", 0.8, 1.1))) == ["no"]


def test_with_nothing_said_before_the_edge_all_is_new() -> None:
    place = Placement(8_000, 16_000, 64_000, overlaps_before=True)
    assert texts(own_words(hypothesis([word("a", 0.0, 0.2)]), place, None)) == ["a"]
