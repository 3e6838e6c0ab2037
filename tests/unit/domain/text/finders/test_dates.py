import pytest

from tests.unit.domain.text.finders.reading import found, labels, smart


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("november second twenty twenty two", "November 2, 2022"),
        ("on November 2nd, 2022, we met", "on November 2, 2022, we met"),
        ("november twenty twenty twenty two", "November 20, 2022"),
        ("november two twenty twenty two", "November 2, 2022"),
        ("may second", "May 2"),
        ("In May the fourth", "In May 4"),
        ("the second of november twenty twenty two", "the 2nd of November 2022"),
        ("the thirty first of december", "the 31st of December"),
        ("2 November 2022", "2 November 2022"),
        ("Monday november second", "Monday, November 2"),
        ("eleven slash two slash twenty twenty two", "11/2/2022"),
        ("It was 2022-11-02.", "It was 2022-11-02."),
        ("on 11/2/22", "on 11/2/22"),
        ("july fourth nineteen oh five", "July 4, 1905"),
        ("We left on friday", "We left on Friday"),
    ],
)
def test_dates_are_written(spoken: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == ["DATE"]


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("november twenty twenty two", "November 2022"),
        ("in nineteen ninety nine", "in 1999"),
        ("in two thousand ten", "in 2010"),
        ("the nineteen eighties", "the 1980s"),
        ("from nineteen ninety nine to two thousand five", "from 1999 to 2005"),
        ("from november second to november fifth", "from November 2 to November 5"),
        ("between june first and july third", "between June 1 and July 3"),
        ("In May, we go", "In May, we go"),
        ("in 2019 it ended", "in 2019 it ended"),
    ],
)
def test_spans_of_time_are_written(spoken: str, written: str) -> None:
    assert smart(spoken) == written
    assert labels(spoken) == ["DATE_INTERVAL"]


@pytest.mark.parametrize("text", ["born on july fourth nineteen seventy six", "my date of birth is 07/04/1976"])
def test_a_date_after_words_of_birth_is_a_date_of_birth(text: str) -> None:
    assert labels(text) == ["DOB"]


@pytest.mark.parametrize(
    "text",
    [
        "you may one day see",
        "march of the penguins",
        "we march on",
        "you may go",
        "wait a second",
        "december's child is mine",
    ],
)
def test_words_that_look_like_months_stay(text: str) -> None:
    assert smart(text) == text
    assert labels(text) == []


def test_a_sentence_end_divides_a_date() -> None:
    assert found("We met in november. Two came.") == [("DATE_INTERVAL", "november."), ("NUMBER", "Two")]
