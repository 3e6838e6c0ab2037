import pytest

from app.domain.text.numerals import numeral_edits
from tests.support.transcripts import words
from tests.unit.domain.text.finders.reading import numerals


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("nine hundred", "900"),
        ("twenty eighth", "28th"),
        ("five five five two one", "5 5 5 2 1"),
        ("twelve thousand three hundred", "12300"),
        ("I have one dog and two cats.", "I have 1 dog and 2 cats."),
        ("the second time", "the 2nd time"),
        ("three point one four", "3.14"),
        ("nineteen ninety nine", "1999"),
        ("a hundred people", "100 people"),
        ("twenty five dollars and fifty cents", "25 dollars and 50 cents"),
        ("twenty-five", "25"),
        ("two and three", "2 and 3"),
    ],
)
def test_numbers_become_digits_and_nothing_else_changes(spoken: str, written: str) -> None:
    assert numerals(spoken) == written


@pytest.mark.parametrize(
    "text", ["no one", "one of them", "wait a second", "first of all", "1,234 people", "several hundred", ""]
)
def test_words_that_are_no_numbers_and_digits_stay(text: str) -> None:
    assert numerals(text) == text


def test_a_number_of_several_words_takes_their_time() -> None:
    (edit,) = numeral_edits(words("about nine hundred people"), "en")
    (word,) = edit.words
    assert (word.text, word.start_s, word.end_s) == ("900", 0.5, 1.5)


def test_digits_keep_their_own_times_and_punctuation() -> None:
    (edit,) = numeral_edits(words("five, five."), "en")
    assert [(word.text, word.bare, word.start_s) for word in edit.words] == [("5,", "5", 0.0), ("5.", "5", 0.5)]
