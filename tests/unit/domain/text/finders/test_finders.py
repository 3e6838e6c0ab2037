"""What holds for any words: the finders never fail, and their findings never overlap."""

import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.text.edits import Edit, Edited
from app.domain.text.finders import find
from app.domain.text.measurements import measurement_edits
from app.domain.text.numerals import numeral_edits
from app.domain.text.smart_format import smart_edits
from app.domain.transcript import Word
from tests.support.transcripts import words
from tests.unit.domain.text.finders.reading import smart

VOCABULARY = (
    "one", "two", "five", "nine", "ten", "twelve", "twenty", "thirty", "oh", "o", "double", "triple", "hundred",
    "thousand", "million", "point", "and", "a", "second", "third", "fifth", "twentieth", "dollars", "cents", "euros",
    "percent", "p", "m", "a.m.", "p.m.", "o'clock", "november", "may", "the", "of", "slash", "dot", "com", "at",
    "gmail", "www", "colon", "dash", "underscore", "plus", "street", "avenue", "drive", "apartment", "zip", "code",
    "card", "number", "account", "ssn", "cvv", "expires", "password", "is", "minutes", "hours", "years", "old", "born",
    "kilograms", "iban", "d", "e", "de89", "3704", "0044", "0532", "0130", "00", "4111", "1111", "5,", "5.", "$15.50",
    "$5", "8:37", "8pm", "555-1234", "(555)", "+44", "12/25", "2022-11-02", "50%", "1980s", "nineteen", "eighties",
    "to", "between", "past", "half", "john.smith@gmail.com", "192.168.0.1", "fe80::1:2:3", "¿qué?", "…", "'", "-", "é",
    "五", "٣", "²", "½", "İ", "ß", "12:34:56", "7ABC123", "1st", "un", "deux", "cinq", "ein", "drei", "prozent", "komma",
    "+999", "+1", "%", "$", "@", "#", "1,234", "5,5,5", "1.2.3.4.5",
)  # fmt: skip

spoken_words = st.lists(
    st.one_of(st.sampled_from(VOCABULARY), st.text(st.characters(exclude_categories=("Cs",)), max_size=6)), max_size=25
)
languages = st.sampled_from(["en", "en", "en", "de", "fr", "ja", "xx"])


def as_words(texts: list[str]) -> tuple[Word, ...]:
    return tuple(Word(text, 0.5 * index, 0.5 * index + 0.4, 0.1 + 0.9 * (index % 5) / 4) for index, text in enumerate(texts))


@given(spoken_words, languages)
def test_findings_are_in_order_in_range_and_apart(texts: list[str], language: str) -> None:
    findings = find(as_words(texts), language)
    assert all(0 <= finding.start < finding.end <= len(texts) and finding.written for finding in findings)
    assert all(first.end <= second.start for first, second in pairwise(findings))
    assert all(text and " " not in text for finding in findings for text in finding.written)


@given(spoken_words, languages)
def test_edits_keep_times_ordered_and_confidence_a_probability(texts: list[str], language: str) -> None:
    spoken = as_words(texts)
    of_numerals = numeral_edits(spoken, language) + measurement_edits(spoken, language)
    for edits in (smart_edits(find(spoken, language), spoken), of_numerals):
        check(edits, spoken)


def check(edits: list[Edit], spoken: tuple[Word, ...]) -> None:
    for edit in edits:
        inside = spoken[edit.start : edit.end]
        times = [time_s for word in edit.words for time_s in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert inside[0].start_s <= times[0]
        assert times[-1] <= inside[-1].end_s
        assert all(0 <= word.confidence <= 1 and word.text for word in edit.words)
    edited = Edited.untouched(spoken).apply(edits)
    assert [word.start_s for word in edited.words] == sorted(word.start_s for word in edited.words)


@pytest.mark.parametrize(
    ("clip", "written"),
    [
        ("My phone number is five five five one two three four.", "My phone number is 555-1234."),
        ("It is twenty five dollars. The number is three hundred forty.", "It is $25. The number is 340."),
        ("Hello world good morning. Call me at two five nine.", "Hello world good morning. Call me at 2 5 9."),
        ("Four two seven one nine.", "4 2 7 1 9."),
        ("The time is thirty percent. My number is nine hundred fifty dollars.", "The time is 30%. My number is $950."),
        ("The time is twenty seven. Thank you good night. Turn left and stop.",
         "The time is 27. Thank you good night. Turn left and stop."),
    ],
)  # fmt: skip
def test_the_transcripts_of_the_sample_clips(clip: str, written: str) -> None:
    assert smart(clip) == written


def test_of_two_readings_the_better_one_stands() -> None:
    text = "It is twenty five dollars, born may second two thousand ten, at five p m"
    assert [finding.label for finding in find(words(text), "en")] == ["MONEY", "DOB", "TIME"]


@pytest.mark.parametrize("texts", [[], [""], ["..."], ["-", ",", "..."]])
def test_no_words_and_bare_marks_hold_nothing(texts: list[str]) -> None:
    assert find(as_words(texts), "en") == ()


@pytest.mark.parametrize(
    "phrase", ["at dot", "one dot", "account number n", "a dash", "double you", "five main street", "n 1", "5,"]
)
def test_the_cost_of_nonsense_grows_with_its_length_only(phrase: str) -> None:
    shorter, longer = (_calls(words(" ".join([phrase] * count))) for count in (100, 400))
    assert longer < 6 * shorter


def _calls(spoken: tuple[Word, ...]) -> int:
    """How many functions the finders call: a measure of work that no busy machine changes."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        find(spoken, "en")
    finally:
        sys.setprofile(None)
    return calls
