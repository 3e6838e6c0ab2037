import pytest

from tests.unit.domain.text.finders.reading import labels, smart


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("It is twenty five dollars.", "It is $25."),
        ("twenty five dollars and fifty cents", "$25.50"),
        ("fifteen dollars fifty.", "$15.50."),
        ("fifteen dollars and five cents", "$15.05"),
        ("one twenty dollars", "$120"),
        ("a hundred dollars", "$100"),
        ("nine hundred fifty dollars", "$950"),
        ("one hundred twenty five thousand dollars", "$125,000"),
        ("two point five million dollars", "$2.5 million"),
        ("five million euros", "€5 million"),
        ("20 euros", "€20"),
        ("ten pounds sterling", "£10"),
        ("fifty cents", "50 cents"),
        ("$5 million", "$5 million"),
        ("It cost $15.50, really", "It cost $15.50, really"),
        ("one dollar", "$1"),
    ],
)
def test_sums_of_money_are_written(spoken: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == ["MONEY"]


@pytest.mark.parametrize("text", ["a dollar", "several dollars", "make cents of it", "the dollar. Fifty of them"])
def test_currencies_without_a_number_stay(text: str) -> None:
    assert labels(text) == []


def test_what_follows_an_amount_is_not_eaten() -> None:
    assert smart("twenty dollars and fifty people") == "$20 and 50 people"
    assert smart("twenty dollars fifty times") == "$20 50 times"
