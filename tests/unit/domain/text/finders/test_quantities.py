import pytest

from tests.unit.domain.text.finders.reading import found, labels, smart


@pytest.mark.parametrize(
    ("spoken", "label", "written"),
    [
        ("fifty percent", "PERCENT", "50%"),
        ("The time is thirty percent.", "PERCENT", "The time is 30%."),
        ("two point five per cent", "PERCENT", "2.5%"),
        ("about 50 percent of it", "PERCENT", "about 50% of it"),
        ("it is 50%.", "PERCENT", "it is 50%."),
        ("he is twenty five years old", "AGE", "he is 25 years old"),
        ("a twenty-five-year-old man", "AGE", "a 25-year-old man"),
        ("a five year old", "AGE", "a 5 year old"),
        ("she is aged forty two", "AGE", "she is aged 42"),
        ("five kilograms", "UNITS", "5 kilograms"),
        ("ten miles", "UNITS", "10 miles"),
        ("twenty pounds", "UNITS", "20 pounds"),
    ],
)
def test_what_is_counted_is_written_in_digits(spoken: str, label: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == [label]


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("nine hundred people", "900 people"),
        ("three hundred forty", "340"),
        ("the twenty eighth", "the 28th"),
        ("nineteen ninety nine", "1999"),
        ("seventeen seventy six", "1776"),
        ("two thousand ten", "2010"),
        ("five five five two one", "5 5 5 2 1"),
        ("five, five, five.", "5, 5, 5."),
        ("zero zero seven", "0 0 7"),
        ("zero point five", "0.5"),
        ("five million", "5 million"),
        ("one hundred two hundred", "100 200"),
        ("double five", "5 5"),
        ("number twelve", "number 12"),
    ],
)
def test_plain_numbers_are_written_in_digits(spoken: str, written: str) -> None:
    assert smart(spoken) == written


@pytest.mark.parametrize(
    "text",
    [
        "one of them",
        "no one knows",
        "wait a second",
        "the second time",
        "first of all",
        "two dogs",
        "a hundred people",
        "several hundred",
        "a million reasons",
        "oh five people came",
        "he came in second",
        "number one",
        "1,234 people",
        "half a million",
        "two thirds of them",
    ],
)
def test_small_and_vague_numbers_stay_words(text: str) -> None:
    assert smart(text) == text


def test_pronouns_and_units_of_time_are_no_numbers() -> None:
    assert found("no one waits a second, one of them said") == []


def test_dictated_digits_are_one_finding() -> None:
    assert found("four two seven one nine") == [("NUMBER", "four two seven one nine")]
