import pytest

from tests.unit.domain.text.finders.reading import found, labels, smart


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("My phone number is five five five one two three four.", "My phone number is 555-1234."),
        ("My phone number is 5, 5, 5, 1, 2, 3, 4.", "My phone number is 555-1234."),
        ("five five five one two three four five six seven", "(555) 123-4567"),
        ("call me at two one two five five five oh one nine nine", "call me at (212) 555-0199"),
        ("two one two double five five oh one double nine", "(212) 555-0199"),
        ("dial 2125550199 extension twenty one", "dial (212) 555-0199 ext. 21"),
        ("Call (555) 123-4567 today.", "Call (555) 123-4567 today."),
        ("Call 555-123-4567 today.", "Call (555) 123-4567 today."),
        ("Call 555.223.4567 today.", "Call (555) 223-4567 today."),
        ("It was 555-1234.", "It was 555-1234."),
        ("one eight hundred five five five one two three four", "1-800-555-1234"),
        ("plus four four two oh seven nine four six oh nine five eight", "+44 20 7946 0958"),
        ("It's +44 20 7946 0958.", "It's +44 20 7946 0958."),
    ],
)
def test_telephone_numbers_are_written(spoken: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == ["PHONE_NUMBER"]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("one two three four five six seven eight nine ten", "1 2 3 4 5 6 7 8 9 10"),
        ("it says five five five one two three four", "it says 5 5 5 1 2 3 4"),
        ("call me at two five nine.", "call me at 2 5 9."),
        ("nine one one", "9 1 1"),
    ],
)
def test_digits_that_nothing_makes_a_telephone_number_stay_digits(text: str, written: str) -> None:
    assert labels(text) == []
    assert smart(text) == written


def test_a_plus_counts_in_every_language_and_ten_digits_in_english_only() -> None:
    assert found("+49 30 901820", "de") == [("PHONE_NUMBER", "+49 30 901820")]
    assert labels("+999 1234567890123", "de") == []
    assert labels("2125550199", "de") == []


def test_the_end_of_a_sentence_ends_a_number() -> None:
    assert smart("I dialed two five nine. Seven five nine was wrong.") == "I dialed 2 5 9. 7 5 9 was wrong."
