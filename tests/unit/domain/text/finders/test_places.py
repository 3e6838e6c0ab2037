import pytest

from tests.unit.domain.text.finders.reading import labels, smart


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("three hundred main street", "300 Main Street"),
        ("300 Main St. is here", "300 Main St. is here"),
        ("twelve thirty four north oak avenue apartment five", "1234 North Oak Avenue Apartment 5"),
        ("five twenty fifth avenue", "5 25th Avenue"),
        ("221 Baker Street north", "221 Baker Street North"),
        ("I live at one twenty three elm road", "I live at 123 Elm Road"),
        ("12 Ocean Drive", "12 Ocean Drive"),
    ],
)
def test_street_addresses_are_written(spoken: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == ["LOCATION_ADDRESS"]


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("Los Angeles, CA 90210", "Los Angeles, CA 90210"),
        ("los angeles california nine oh two one oh", "los angeles california 90210"),
        ("London SW1A 1AA", "London SW1A 1AA"),
    ],
)
def test_postal_codes_are_found_after_a_state_or_by_their_form(spoken: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == ["LOCATION_ZIP"]


@pytest.mark.parametrize(
    "text",
    ["one way street", "two lane road", "a nice place", "there were 12345 of them", "in 12345 cases", "two people drive"],
)
def test_other_numbers_and_streets_stay(text: str) -> None:
    assert smart(text) == text
    assert labels(text) == []
