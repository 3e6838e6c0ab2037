from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.text.search import MAX_HITS, MIN_CONFIDENCE, find_phrases
from app.domain.transcript import Word
from tests.support.transcripts import words


def snippets(text: str, query: str) -> list[str]:
    (result,) = find_phrases(words(text, confidence=1.0), (query,), "en")
    return [hit.snippet for hit in result.hits]


@pytest.mark.parametrize(
    ("text", "query", "found"),
    [
        ("We use Deepgram here.", "deepgram", ["Deepgram"]),
        ("We use deep gram here.", "Deepgram", ["deep gram"]),
        ("the ice cream truck", "icecream truck", ["ice cream truck"]),
        ("we tripped about", "trip", ["tripped"]),
        ("nothing of the kind", "zebra crossing", []),
        ("", "zebra", []),
        ("zebra", "...", []),
    ],
)
def test_phrases_are_found_as_they_were_heard(text: str, query: str, found: list[str]) -> None:
    assert snippets(text, query) == found


def test_the_name_of_what_was_redacted_is_no_hit() -> None:
    word = Word("[PHONE_NUMBER_1].", 0.0, 1.0, 1.0, bare="[PHONE_NUMBER_1]")
    assert find_phrases((word,), ("phone number",), "en")[0].hits == ()


def test_results_come_in_the_order_of_the_queries() -> None:
    results = find_phrases(words("one two"), ("two", "three hundred", "one"), "en")
    assert [(result.query, len(result.hits)) for result in results] == [("two", 1), ("three hundred", 0), ("one", 1)]


def test_a_hit_is_as_sure_as_it_is_alike_and_as_its_words_are() -> None:
    first, second = words("ice cream", confidence=0.6)
    (result,) = find_phrases((first, replace(second, confidence=1.0)), ("ice cream",), "en")
    (hit,) = result.hits
    assert hit.confidence == pytest.approx(0.8)
    assert (hit.start_s, hit.end_s) == (0.0, 1.0)


def test_hits_do_not_overlap_and_the_best_come_first() -> None:
    (result,) = find_phrases(words("phone number, phone, phone numbers", confidence=1.0), ("phone number",), "en")
    assert [hit.snippet for hit in result.hits] == ["phone number,", "phone numbers", "phone,"]
    assert [hit.confidence for hit in result.hits] == sorted((hit.confidence for hit in result.hits), reverse=True)


def test_weak_hits_and_more_than_ten_are_left_out() -> None:
    spoken = words("well " * 30, confidence=1.0)
    assert len(find_phrases(spoken, ("well",), "en")[0].hits) == MAX_HITS
    unsure = tuple(replace(word, confidence=MIN_CONFIDENCE - 0.01) for word in spoken)
    assert find_phrases(unsure, ("well",), "en")[0].hits == ()


def test_snippets_are_written_as_displayed() -> None:
    spoken = words("Hello, World.")
    assert find_phrases(spoken, ("hello world",), "en", punctuated=False)[0].hits[0].snippet == "hello world"
    assert find_phrases(words("\u4f60 \u597d"), ("\u4f60\u597d",), "zh")[0].hits[0].snippet == "\u4f60\u597d"
