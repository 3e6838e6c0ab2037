import pytest

from app.domain.text.finders.identifiers import passes_luhn
from tests.unit.domain.text.finders.reading import found, labels, smart

CARD = "four one one one one one one one one one one one one one one one"
SOCIAL = "my social security number is"
IBAN = "d e eight nine three seven zero four zero zero four four zero five three two zero one three zero zero zero"


@pytest.mark.parametrize(
    ("spoken", "label", "written"),
    [
        (f"it is {CARD}", "CREDIT_CARD", "it is 4111 1111 1111 1111"),
        ("3782 822463 10005.", "CREDIT_CARD", "3782 822463 10005."),
        ("4111111111111111", "CREDIT_CARD", "4111 1111 1111 1111"),
        ("card number 4111-1111-1111-1112", "CREDIT_CARD", "card number 4111 1111 1111 1112"),
        ("c v v one two three", "CVV", "c v v 123"),
        ("The security code on the back is 123.", "CVV", "The security code on the back is 123."),
        ("expires oh four twenty six", "CREDIT_CARD_EXPIRATION", "expires 04/26"),
        ("expiration date is oh four twenty twenty six", "CREDIT_CARD_EXPIRATION", "expiration date is 04/2026"),
        ("expiration twelve slash twenty five", "CREDIT_CARD_EXPIRATION", "expiration 12/25"),
        ("it expires in april twenty twenty six", "CREDIT_CARD_EXPIRATION", "it expires in April 2026"),
        ("Valid thru 04/26.", "CREDIT_CARD_EXPIRATION", "Valid thru 04/26."),
        ("s s n one two three four five six seven eight nine", "SSN", "s s n 123-45-6789"),
        (f"{SOCIAL} one twenty three forty five sixty seven eighty nine", "SSN", f"{SOCIAL} 123-45-6789"),
        ("It is 123-45-6789.", "SSN", "It is 123-45-6789."),
        ("last four of my social is 6 7 8 9", "SSN", "last four of my social is 6789"),
        ("my account number is one two three four five six seven eight", "ACCOUNT_NUMBER", "my account number is 12345678"),
        ("account ending in four four one two", "ACCOUNT_NUMBER", "account ending in 4412"),
        ("routing number oh two one oh oh oh oh two one", "ROUTING_NUMBER", "routing number 021000021"),
        ("checking account number 12345678", "BANK_ACCOUNT", "checking account number 12345678"),
        (f"my iban is {IBAN}", "BANK_ACCOUNT", "my iban is DE89 3704 0044 0532 0130 00"),
        ("DE89 3704 0044 0532 0130 00", "BANK_ACCOUNT", "DE89 3704 0044 0532 0130 00"),
        ("driver's license d one two three four five six seven", "DRIVER_LICENSE", "driver's license D1234567"),
        ("passport number 123456789", "PASSPORT_NUMBER", "passport number 123456789"),
        ("medicare number one e g four t e five", "HEALTHCARE_NUMBER", "medicare number 1EG4TE5"),
        ("license plate is seven a b c one two three", "VEHICLE_ID", "license plate is 7ABC123"),
        ("tracking number is one z five seven a two b", "NUMERICAL_PII", "tracking number is 1Z57A2B"),
        ("your confirmation code is A B 1 2 C D", "NUMERICAL_PII", "your confirmation code is AB12CD"),
        ("my pin is four four two one", "NUMERICAL_PII", "my pin is 4421"),
        ("my password is hunter2", "PASSWORD", "my password is hunter2"),
        ("zip code nine oh two one oh", "LOCATION_ZIP", "zip code 90210"),
    ],
)  # fmt: skip
def test_announced_and_checked_numbers_are_labelled_and_written(spoken: str, label: str, written: str) -> None:
    assert label in labels(spoken)
    assert smart(spoken) == written


def test_the_closest_announcement_tells_what_digits_are() -> None:
    text = "not my phone number but my account number is 5 5 5 1 2 3 4"
    assert found(text)[-1] == ("ACCOUNT_NUMBER", "5 5 5 1 2 3 4")


def test_a_card_is_found_beside_other_digits_that_a_comma_divides() -> None:
    assert ("CREDIT_CARD", "4111 1111 1111 1111,") in found("4111 1111 1111 1111, 123")


def test_an_answer_is_announced_by_the_question_before_it() -> None:
    assert labels("What is your account number? It is 12345678.") == ["ACCOUNT_NUMBER"]


@pytest.mark.parametrize("language", ["en", "de", "fr", "ja"])
def test_cards_and_bank_accounts_are_found_in_every_language(language: str) -> None:
    assert labels("4111 1111 1111 1111", language) == ["CREDIT_CARD"]
    assert labels("DE89370400440532013000", language) == ["BANK_ACCOUNT"]


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "DE88 3704 0044 0532 0130 00",
        "the account is old and we have 20 more",
        "I dropped my card in the street",
        "the password is wrong",
        "in my case it works",
    ],
)
def test_what_fails_its_check_and_ordinary_words_are_no_identifiers(text: str) -> None:
    assert labels(text) == []


def test_amounts_after_an_announcement_are_amounts() -> None:
    assert labels("the account had five thousand dollars") == ["MONEY"]
    assert labels("they opened the account in 2019") == ["DATE_INTERVAL"]


@pytest.mark.parametrize(("digits", "passes"), [("4111111111111111", True), ("79927398713", True), ("79927398710", False)])
def test_check_digits_of_cards(digits: str, passes: bool) -> None:
    assert passes_luhn(digits) is passes
