"""What people say and Whisper writes, as a reader of the transcript expects it; and sentences that must stay as they are."""

import pytest

from tests.unit.domain.text.finders.reading import found, labels, numerals, smart


@pytest.mark.parametrize(
    ("spoken", "written"),
    [
        ("the twenty third of march nineteen ninety", "the 23rd of March 1990"),
        ("23 March 2024", "23 March 2024"),
        ("May the fourth, be there", "May 4, be there"),
        ("quarter to six pm", "quarter to 6 PM"),
        ("twenty past nine", "20 past 9"),
        ("a quarter after nine", "a quarter after 9"),
        ("between three and five pm", "between 3 and 5 PM"),
        ("nine in the morning", "9 in the morning"),
        ("five to ten minutes", "5 to 10 minutes"),
        ("between five and ten people", "between 5 and 10 people"),
        ("ten to one it rains", "10 to 1 it rains"),
        ("I paid five pounds fifty.", "I paid \u00a35.50."),
        ("two twenty dollar bills", "two $20 bills"),
        ("a million dollars", "$1 million"),
        ("fifty francs", "50 francs"),
        ("300 Main Street, apartment four b.", "300 Main Street, Apartment 4B."),
        ("123 Main Street, Apt 4B", "123 Main Street, Apt 4B"),
        ("221b Baker Street", "221B Baker Street"),
        ("12-14 High Street", "12-14 High Street"),
        ("P O box one two three", "PO Box 123"),
        ("my number is 020 7946 0958", "my number is 020 7946 0958"),
        ("sort code 12-34-56", "sort code 12-34-56"),
        ("the plate is ABC one two three four", "the plate is ABC1234"),
        ("john dot smith@gmail.com", "john.smith@gmail.com"),
        ("john@gmail dot com", "john@gmail.com"),
        ("john @ gmail.com", "john@gmail.com"),
        ("example dot com forward slash products", "example.com/products"),
        ("one hundred ninety two dot one hundred sixty eight dot one dot one", "192.168.1.1"),
        ("a twenty five-year-old", "a 25-year-old"),
    ],
)
def test_is_written_as_usual(spoken: str, written: str) -> None:
    assert smart(spoken) == written


@pytest.mark.parametrize(
    "sentence",
    [
        "no one knows", "one of them is gone", "I have second thoughts.", "may I come in", "we march on to the city",
        "at one point I was happy", "to be or not to be", "one by one", "one on one", "one or two people", "one day I will",
        "thousands of people", "hundreds of thousands of dollars", "tens of thousands", "one of the best ones",
        "may the fourth be with you", "may the first one win", "300 people close the park", "on 3/4 of cases",
        "half a million dollars", "the login page is 24/7", "go to the site dot com",
    ],
)  # fmt: skip
def test_ordinary_sentences_stay(sentence: str) -> None:
    assert smart(sentence) == sentence


@pytest.mark.parametrize("sentence", ["one by one", "at one point", "thousands of people", "no one", "the best ones"])
def test_numerals_leave_what_is_no_number(sentence: str) -> None:
    assert numerals(sentence) == sentence


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("half a million dollars", "MONEY"), ("two to three hundred dollars", "MONEY"), ("US$50", "MONEY"),
        ("50 USD", "MONEY"), ("a couple hundred dollars", "MONEY"), ("he paid two hundred pounds", "MONEY"),
        ("I'm twenty five.", "AGE"), ("she turned 30, yes", "AGE"), ("25 years of age", "AGE"),
        ("5 and a half years old", "AGE"), ("March 23-25", "DATE_INTERVAL"), ("in '99", "DATE_INTERVAL"),
        ("1999-2004", "DATE_INTERVAL"), ("9-5 PM", "TIME"), ("9.30am", "TIME"), ("192.168.1.1:8080", "IP_ADDRESS"),
        ("fe80::1", "IP_ADDRESS"), ("password: hunter2", "PASSWORD"), ("pass word is hunter2", "PASSWORD"),
        ("the password was swordfish", "PASSWORD"), ("user name is jsmith", "USERNAME"), ("MRN 123456", "HEALTHCARE_NUMBER"),
        ("GB29 NWBK 6016 1331 9268 19", "BANK_ACCOUNT"), ("my social is 123456789", "SSN"), ("card code 123", "CVV"),
        ("7 Oak Close", "LOCATION_ADDRESS"),
    ],
)  # fmt: skip
def test_is_known_for_what_it_is(text: str, label: str) -> None:
    assert labels(text) == [label]


def test_a_weight_is_no_money() -> None:
    assert found("I lost ten pounds.") == [("UNITS", "ten pounds.")]
