import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.intelligence.answers import (
    MAX_LABELS,
    MAX_SUMMARY_CHARACTERS,
    UnusableAnswer,
    read_labels,
    read_ratings,
    read_summary,
)
from app.domain.intelligence.findings import LabelledPassage, Mood, RatedPassage, mean_score
from app.domain.intelligence.options import LabelChoice
from app.domain.intelligence.rating import rate_words
from app.domain.intelligence.sentences import pack, split_channel
from tests.support.transcripts import channel

SPOKEN = channel("I love it. It is great. Well no. The end.")
[PIECE] = pack(split_channel(SPOKEN, 0))
ANY = LabelChoice()


def labels(*segments: Any, choice: LabelChoice = ANY) -> list[LabelledPassage]:
    return read_labels(json.dumps({"segments": segments}), PIECE, SPOKEN, choice)


def one(first: Any, last: Any, *found: Any) -> dict[str, Any]:
    return {"first": first, "last": last, "labels": list(found)}


def label(text: Any, confidence: Any = 0.5) -> dict[str, Any]:
    return {"label": text, "confidence": confidence}


def ratings(*entries: Any) -> list[RatedPassage]:
    return read_ratings(json.dumps({"sentences": entries}), PIECE, SPOKEN)


def rate(index: Any, score: Any, mood: Any = None) -> dict[str, Any]:
    return {"id": index, "score": score, **({} if mood is None else {"sentiment": mood})}


class TestSummary:
    @pytest.mark.parametrize(
        "answer",
        [
            '{"summary": "All is well."}',
            '```json\n{"summary": "All is well."}\n```',
            'Sure! Here it is:\n{"summary": "All is\\n well."} I hope that helps.',
            '<think>{"summary": "wrong"}</think>{"summary": "All is well."}',
            '{not json} {"summary": "All  is\u0000 well."}',
            '{"summary": "All is\nwell."}',
        ],
    )
    def test_it_is_found_whatever_stands_around_it(self, answer: str) -> None:
        assert read_summary(answer) == "All is well."

    @pytest.mark.parametrize(
        "answer",
        ["", "All is well.", "[]", '{"summary": ""}', '{"summary": 5}', '{"summary": ["a"]}', '{"short": "x"}', "{" * 5000,
         '{"summary": "' + "x" * (MAX_SUMMARY_CHARACTERS + 1) + '"}', '{"a":' * 5000, '{"summary": "\\ud800"}'],
    )  # fmt: skip
    def test_nothing_else_passes_for_one(self, answer: str) -> None:
        with pytest.raises(UnusableAnswer):
            read_summary(answer)


class TestLabels:
    def test_passages_are_words_of_the_transcript(self) -> None:
        [found] = labels(one(1, 2, label("Praise", 0.9)))
        assert (found.passage.start, found.passage.end, found.passage.text) == (3, 8, "It is great. Well no.")
        assert [(item.text, item.confidence) for item in found.labels] == [("Praise", 0.9)]

    def test_ranges_are_drawn_into_the_piece_or_dropped(self) -> None:
        assert [(f.passage.start, f.passage.end) for f in labels(one(-5, 99, label("A")))] == [(0, 10)]
        assert labels(one(4, 9, label("A")), one(2, 1, label("A")), one(-3, -1, label("A")), one(None, 1, label("A"))) == []
        assert labels(one(1.5, 2, label("A")), one(True, 2, label("A")), one("x", 2, label("A")), 7, None, []) == []

    def test_confidences_are_probabilities(self) -> None:
        [found] = labels(one(0, 0, label("High", 85), label("Low", -1), label("Text", "0.5"), label("None", None)))
        assert [(item.text, item.confidence) for item in found.labels] == [("High", 1.0), ("Text", 0.5), ("Low", 0.0)]
        assert labels(one(0, 0, label("A", "NaN"))) == []
        assert labels(one(0, 0, label("A", float("nan")), label("B", float("inf")))) == []

    def test_labels_are_short_lines_of_text_once_each(self) -> None:
        odd = [label("x" * 101), label("..."), label(""), label(["a"]), label("a\nb", 0.3), label("A B", 0.4), "text"]
        [found] = labels(one(0, 0, *odd))
        assert [item.text for item in found.labels] == ["A B"]

    def test_the_surest_are_kept(self) -> None:
        [found] = labels(one(0, 0, *(label(f"L{i}", i / 100) for i in range(50))))
        assert [item.text for item in found.labels] == [f"L{i}" for i in range(49, 49 - MAX_LABELS, -1)]

    def test_strict_lets_only_the_callers_labels_through_in_the_callers_spelling(self) -> None:
        strict = LabelChoice(("Order Number", "refund"), strict=True)
        [found] = labels(one(0, 0, label("order  number"), label("Weather"), label("REFUND", 0.9)), choice=strict)
        assert [item.text for item in found.labels] == ["refund", "Order Number"]
        extended = LabelChoice(("refund",))
        [found] = labels(one(0, 0, label("Weather"), label("Refund")), choice=extended)
        assert {item.text for item in found.labels} == {"Weather", "refund"}

    @pytest.mark.parametrize("answer", ["{}", '{"segments": 5}', '{"segments": {"first": 0}}', "none"])
    def test_another_form_is_no_answer(self, answer: str) -> None:
        with pytest.raises(UnusableAnswer):
            read_labels(answer, PIECE, SPOKEN, ANY)

    def test_no_passage_is_an_answer(self) -> None:
        assert labels() == []


class TestRatings:
    def test_neighbours_of_one_mood_are_one_passage_and_all_words_are_rated(self) -> None:
        found = ratings(rate(0, 0.9), rate(1, 0.6), rate(2, -0.5), rate(3, 0.1))
        assert [(f.passage.start, f.passage.end, Mood.of(f.score).value) for f in found] == [
            (0, 6, "positive"),
            (6, 8, "negative"),
            (8, 10, "neutral"),
        ]
        assert found[0].score == pytest.approx(0.75)
        assert mean_score(found) == pytest.approx((0.9 * 3 + 0.6 * 3 - 0.5 * 2 + 0.1 * 2) / 10)

    def test_the_word_is_believed_where_the_score_denies_it(self) -> None:
        found = ratings(rate(0, 0.9, "negative"), rate(1, -0.8, "positive"), rate(2, 0.99, "neutral"), rate(3, 5, "glad"))
        assert [f.score for f in found] == [-0.9, 0.8, 0.0, 1.0]

    def test_what_is_missing_is_neutral(self) -> None:
        assert [f.score for f in ratings(rate(0, 1), rate(1, 1))] == [1.0, 0.0]

    @pytest.mark.parametrize(
        "entries", [(), (rate(0, 1),), (rate(7, 1), rate(-1, 1), rate("a", 1), rate(0, "b")), (rate(0, None), 5, None)]
    )
    def test_too_little_is_no_answer(self, entries: tuple[Any, ...]) -> None:
        with pytest.raises(UnusableAnswer):
            ratings(*entries)

    def test_words_take_the_score_of_their_passage(self) -> None:
        rated = rate_words(SPOKEN, 0, ratings(rate(0, 1), rate(1, -1)))
        assert [word.sentiment_score for word in rated.words] == [1.0] * 3 + [-1.0] * 3 + [0.0] * 4
        other = rate_words(SPOKEN, 1, ratings(rate(0, 1), rate(1, -1)))
        assert {word.sentiment_score for word in other.words} == {None}

    @pytest.mark.parametrize(
        ("score", "mood"), [(1 / 3, "positive"), (0.33, "neutral"), (-1 / 3, "negative"), (0, "neutral")]
    )
    def test_a_third_is_where_moods_begin(self, score: float, mood: str) -> None:
        assert Mood.of(score).value == mood


KEYS = ("segments", "first", "last", "labels", "label", "confidence", "sentences", "id", "score", "summary")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["first", "label", "3"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(JSON | st.text(max_size=50))
def test_whatever_comes_back_is_refused_or_made_to_fit(answer: Any) -> None:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    with suppress(UnusableAnswer):
        found = read_labels(text, PIECE, SPOKEN, ANY)
        assert all(0 <= f.passage.start < f.passage.end <= 10 for f in found)
        assert all(0 <= item.confidence <= 1 and item.text.strip() for f in found for item in f.labels)
    with suppress(UnusableAnswer):
        rated = read_ratings(text, PIECE, SPOKEN)
        assert sum(f.passage.end - f.passage.start for f in rated) == 10
        assert all(-1 <= f.score <= 1 for f in rated)
    with suppress(UnusableAnswer):
        assert read_summary(text)
