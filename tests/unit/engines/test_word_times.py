from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engines.word_times import FILLED_GAP_S, MAX_WORD_S, Measured, place_words


def spans(words: list[Measured], start_s: float, end_s: float) -> list[tuple[float, float]]:
    return [(round(span.start_s, 3), round(span.end_s, 3)) for span in place_words(words, start_s, end_s)]


def test_words_without_times_share_their_gap_by_characters() -> None:
    words = [Measured(4, (0.0, 1.0)), Measured(1, None), Measured(3, None), Measured(4, (3.0, 4.0))]
    assert spans(words, 0.0, 4.0) == [(0.0, 1.0), (1.0, 1.5), (1.5, 3.0), (3.0, 4.0)]


def test_a_word_without_length_counts_as_not_measured() -> None:
    words = [Measured(3, (0.0, 0.0)), Measured(3, (0.4, 0.4)), Measured(3, (0.6, 0.8))]
    assert spans(words, 0.0, 0.8) == [(0.0, 0.3), (0.3, 0.6), (0.6, 0.8)]


def test_a_small_gap_belongs_to_the_word_after_it() -> None:
    words = [Measured(4, (0.4, 0.6)), Measured(7, (0.8, 1.0))]
    assert spans(words, 0.4, 1.0) == [(0.4, 0.6), (0.6, 1.0)]


def test_a_pause_inside_a_segment_stays_a_pause() -> None:
    words = [Measured(4, (0.0, 0.5)), Measured(4, (0.5 + FILLED_GAP_S + 0.1, 1.5))]
    assert spans(words, 0.0, 1.5) == [(0.0, 0.5), (0.9, 1.5)]


def test_edges_reach_the_segment_only_from_near() -> None:
    assert spans([Measured(4, (0.3, 1.7))], 0.0, 2.0) == [(0.0, 2.0)]
    assert spans([Measured(4, (1.0, 1.5))], 0.0, 3.0) == [(1.0, 1.5)]


def test_silence_before_the_first_word_of_a_segment_is_taken_out() -> None:
    first, second = spans([Measured(6, (0.0, 4.3)), Measured(4, (4.3, 4.7))], 0.0, 4.7)
    assert first[1] == 4.3
    assert 3.3 < first[0] < 4.0
    assert second == (4.3, 4.7)


def test_silence_after_a_last_word_is_taken_out() -> None:
    _, last = spans([Measured(6, (0.0, 0.5)), Measured(4, (0.5, 6.0))], 0.0, 6.0)
    assert last[0] == 0.5
    assert last[1] < 1.5


def test_no_words_is_no_spans() -> None:
    assert place_words([], 0.0, 1.0) == []


@given(
    st.lists(
        st.tuples(st.integers(1, 12), st.none() | st.tuples(st.floats(-5, 40), st.floats(-5, 40))), min_size=1, max_size=12
    ),
    st.floats(0, 30),
    st.floats(0, 30),
)
def test_spans_are_ordered_and_inside_the_segment_whatever_the_engine_says(
    raw: list[tuple[int, tuple[float, float] | None]], start_s: float, length_s: float
) -> None:
    end_s = start_s + length_s
    placed = place_words([Measured(characters, heard) for characters, heard in raw], start_s, end_s)
    edge_s = start_s
    for span in placed:
        assert edge_s - 1e-9 <= span.start_s <= span.end_s + 1e-9
        assert span.end_s - span.start_s <= MAX_WORD_S + 1e-9
        edge_s = span.end_s
    assert edge_s <= end_s + 1e-9
    assert len(placed) == len(raw)


@pytest.mark.parametrize("heard", [(2.0, 1.0), (9.0, 9.5)])
def test_impossible_times_are_ignored(heard: tuple[float, float]) -> None:
    assert spans([Measured(4, heard)], 0.0, 1.0) == [(0.0, 1.0)]
