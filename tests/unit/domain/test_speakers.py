"""Words and who said them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.speakers import (
    SpeakerTurn,
    in_order_of_appearance,
    segments_with_speakers,
    shifted_turns,
    words_with_speakers,
)
from app.domain.transcript import Segment, Word


def word(start_s: float, end_s: float) -> Word:
    return Word("word", start_s, end_s, 0.9)


def turn(start_s: float, end_s: float, speaker: int, confidence: float = 0.8) -> SpeakerTurn:
    return SpeakerTurn(start_s, end_s, speaker, confidence)


def speakers(words: list[Word], turns: list[SpeakerTurn]) -> list[int | None]:
    return [named.speaker for named in words_with_speakers(words, turns)]


def test_a_word_belongs_to_the_turn_it_overlaps_most() -> None:
    turns = [turn(0, 1.0, 0), turn(1.0, 3.0, 1)]
    assert [speakers([each], turns) for each in (word(0.2, 0.8), word(0.9, 1.3), word(0.5, 1.2))] == [[0], [1], [0]]


def test_a_word_outside_all_turns_belongs_to_the_nearest() -> None:
    turns = [turn(1.0, 2.0, 0), turn(4.0, 5.0, 1)]
    assert speakers([word(0.0, 0.5), word(2.2, 2.4), word(3.7, 3.9), word(9.0, 9.5)], turns) == [0, 0, 1, 1]


def test_pieces_of_one_speakers_turns_count_together() -> None:
    turns = [turn(0.0, 0.4, 0), turn(0.4, 0.9, 1), turn(0.9, 1.2, 0)]
    (named,) = words_with_speakers([word(0.0, 1.2)], turns)
    assert named.speaker == 0
    assert named.speaker_confidence == pytest.approx(0.8 * 0.7 / 1.2)


def test_a_long_turn_reaches_a_word_far_behind_its_start() -> None:
    turns = [turn(0.0, 60.0, 0), *(turn(at, at + 0.1, 1) for at in range(10, 50, 2))]
    assert speakers([word(55.0, 55.5)], turns) == [0]


def test_a_single_word_inside_anothers_speech_goes_to_that_one() -> None:
    turns = [turn(0.0, 1.0, 0), turn(1.0, 1.2, 1, confidence=0.6), turn(1.2, 2.0, 0)]
    named = words_with_speakers([word(0.5, 1.0), word(1.0, 1.2), word(1.2, 1.6)], turns)
    assert [each.speaker for each in named] == [0, 0, 0]
    assert named[1].speaker_confidence == pytest.approx(0.4)


def test_a_single_word_that_stands_apart_is_an_answer() -> None:
    turns = [turn(0.0, 1.0, 0), turn(1.5, 1.8, 1), turn(2.4, 3.0, 0)]
    assert speakers([word(0.5, 1.0), word(1.5, 1.8), word(2.4, 2.8)], turns) == [0, 1, 0]


def test_two_words_of_another_speaker_stay() -> None:
    turns = [turn(0.0, 1.0, 0), turn(1.0, 1.6, 1), turn(1.6, 3.0, 0)]
    words = [word(0.5, 1.0), word(1.0, 1.3), word(1.3, 1.6), word(1.6, 2.0)]
    assert speakers(words, turns) == [0, 1, 1, 0]


def test_without_turns_words_stay_as_they_are() -> None:
    words = (word(0, 1), word(1, 2))
    assert words_with_speakers(words, []) == words


def test_words_come_back_in_their_segments() -> None:
    first = Segment("a b", 0.0, 1.0, (word(0.0, 0.5), word(0.5, 1.0)), (1,), -0.1)
    empty = Segment("", 1.0, 1.5, (), (), -0.1)
    last = Segment("c", 1.5, 2.0, (word(1.5, 2.0),), (2,), -0.1)
    named = segments_with_speakers([first, empty, last], [turn(0.0, 1.2, 0), turn(1.4, 2.0, 1)])
    assert [[each.speaker for each in segment.words] for segment in named] == [[0, 0], [], [1]]
    assert [(segment.text, segment.tokens) for segment in named] == [("a b", (1,)), ("", ()), ("c", (2,))]


def test_speakers_are_numbered_as_they_first_speak() -> None:
    found = in_order_of_appearance([turn(5.0, 6.0, 1), turn(0.0, 1.0, 7), turn(2.0, 3.0, 4), turn(3.0, 4.0, 7)])
    assert [(each.start_s, each.speaker) for each in found] == [(0.0, 0), (2.0, 1), (3.0, 0), (5.0, 2)]


def test_turns_move_as_a_whole() -> None:
    assert shifted_turns([turn(0.5, 1.0, 3)], 10.0) == (turn(10.5, 11.0, 3),)


_TIMES = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 2))
_SPANS = st.tuples(_TIMES, st.floats(0.01, 5)).map(lambda span: (span[0], span[0] + span[1]))


_TURNS = st.lists(st.tuples(_SPANS, st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=12)


@given(st.lists(_SPANS, max_size=12), _TURNS)
def test_every_word_gets_a_speaker_that_spoke_and_keeps_the_rest(
    spans: list[tuple[float, float]], heard: list[tuple[tuple[float, float], int, float]]
) -> None:
    turns = in_order_of_appearance([turn(*span, speaker, confidence) for span, speaker, confidence in heard])
    words = [word(*span) for span in sorted(spans)]
    named = words_with_speakers(words, turns)
    assert [(each.start_s, each.end_s, each.text, each.confidence) for each in named] == [
        (each.start_s, each.end_s, each.text, each.confidence) for each in words
    ]
    assert {each.speaker for each in named} <= {each.speaker for each in turns}
    assert all(each.speaker_confidence is not None and 0 <= each.speaker_confidence <= 1 for each in named)
