import pytest

from tests.unit.domain.text.finders.reading import measurements


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("five kilograms.", "five kg."),
        ("10 milliliters of it", "10 ml of it"),
        ("two point five metres", "two point five m"),
        ("one liter", "one l"),
        ("a hundred millimeters", "a hundred mm"),
    ],
)
def test_units_after_numbers_are_abbreviated(spoken: str, written: str) -> None:
    assert measurements(spoken) == written


@pytest.mark.parametrize("text", ["the meter is running", "kilograms", "He has five. Grams are small."])
def test_other_units_stay(text: str) -> None:
    assert measurements(text) == text


def test_with_numerals_both_are_short() -> None:
    assert measurements("five kilograms and 3 grams", with_numerals=True) == "5 kg and 3 g"
