"""Numbers that people dictate in ways that no finder reads whole: nothing of them may be shown."""

import pytest

from app.domain.options import TextOptions
from app.domain.text.formatter import Formatter
from app.domain.text.forms import bare_text
from tests.support.transcripts import words


def shown(text: str, *rules: str, language: str = "en") -> str:
    formatted = Formatter(TextOptions(punctuate=True, redact=rules)).format(words(text), language).words
    assert [bare_text(word) for word in formatted if bare_text(word).startswith("[")], "something is redacted"
    return " ".join(word.text for word in formatted)


@pytest.mark.parametrize(
    ("rule", "spoken"),
    [
        ("account_number", "account number {} please"),
        ("passport_number", "passport number {} please"),
        ("routing_number", "routing number {} please"),
        ("ssn", "my social is {} please"),
        ("ssn", "it is {} please"),
    ],
)
@pytest.mark.parametrize(
    "number",
    [
        "Five. Nine. Four. Oh. Seven. Two. Two. One. One.",
        "594. 072. 211.",
        "594... 072... 211",
        "five nine four and then oh seven two and then two one one",
        "five nine four er, oh seven two er, two one one",
        "five nine four and oh seven two and two one one",
        "five-nine-four-oh-seven-two-two-one-one",
        "#594072211",
        "594072211's",
        "594\u2013072\u2013211",
        "594/072/211",
        "594.072.211",
        "\u0665\u0669\u0664\u0660\u0667\u0662\u0662\u0661\u0661",
    ],
)
def test_no_group_of_a_number_stays(rule: str, spoken: str, number: str) -> None:
    before, _, after = spoken.partition(" {} ")
    said = shown(spoken.format(number), rule)
    assert said.startswith(f"{before} [")
    assert said.endswith(f" {after}")
    digits = {"one", "two", "four", "five", "seven", "nine", "oh"}
    assert not any(map(str.isnumeric, said.replace("_1]", "]")))
    assert digits.isdisjoint(said.lower().replace(".", "").replace("-", " ").split())


@pytest.mark.parametrize(
    ("rule", "spoken", "said"),
    [
        ("cvv", "the cvv is six hundred and sixty one", "the cvv is [REDACTED]"),
        ("cvv", "the three digits on the back are oh oh seven", "the three digits on the back are [CVV_1]"),
        ("dob", "date of birth is three twenty three ninety", "date of birth is [REDACTED]"),
        ("phone_number", "call 555-123-4567. 20 minutes later", "call [PHONE_NUMBER_1]. 20 minutes later"),
        ("account_number", "account number 12345678 and 25 people", "account number [ACCOUNT_NUMBER_1] and 25 people"),
        ("time", "at 8:37 p.m. tomorrow", "at [TIME_1] tomorrow"),
        ("aggressive_numbers", "no one of the 5, first of all one", "no one of the [REDACTED], first of all [REDACTED]"),
    ],
)
def test_what_is_beside_it_stays(rule: str, spoken: str, said: str) -> None:
    assert shown(spoken, rule) == said


def test_a_word_that_is_a_number_in_english_too_hides_no_other() -> None:
    number = "z\u00e9ro six douze trente-quatre cinquante-six"
    assert shown(f"c'est {number} merci", "numbers", language="fr") == "c'est [REDACTED] merci"


class TestLive:
    @pytest.mark.parametrize(
        ("rule", "question", "answer", "said"),
        [
            ("pci", "What's the security code?", "It's one two three, thanks.", "It's [CVV_1], thanks."),
            ("password", "My password is", "hunter2 okay", "[PASSWORD_1] okay"),
            ("passport_number", "My passport number is", "X1234567 okay", "[PASSPORT_NUMBER_1] okay"),
            ("dob", "my date of birth is", "it's three twenty three ninety okay", "it's [REDACTED] okay"),
            ("money", "it costs twenty five", "dollars okay", "[MONEY_1] okay"),
            ("location_zip", "the zip code", "is 90210 okay", "is [LOCATION_ZIP_1] okay"),
        ],
    )
    def test_an_earlier_final_announces_the_digits_of_the_next(
        self, rule: str, question: str, answer: str, said: str
    ) -> None:
        formatter = Formatter(TextOptions(punctuate=True, redact=(rule,)), live=True)
        formatter.format(words(question), "en")
        assert " ".join(word.text for word in formatter.format(words(answer), "en").words) == said

    def test_a_question_on_another_channel_announces_its_answer(self) -> None:
        formatter = Formatter(TextOptions(punctuate=True, redact=("pci",)), live=True)
        formatter.format(words("What is the security code"), "en", channel_index=1)
        heard = formatter.format(words("it's one two three, thanks"), "en", channel_index=0).words
        assert " ".join(word.text for word in heard) == "it's [CVV_1], thanks"

    def test_no_amount_goes_on_on_another_channel(self) -> None:
        formatter = Formatter(TextOptions(punctuate=True, redact=("money",)), live=True)
        formatter.format(words("it costs twenty five"), "en", channel_index=1)
        assert formatter.format(words("dollars okay"), "en", channel_index=0).words == words("dollars okay")

    def test_interims_announce_nothing(self) -> None:
        formatter = Formatter(TextOptions(punctuate=True, redact=("password",)), live=True)
        formatter.format(words("my password is"), "en", interim=True)
        assert formatter.format(words("okay then"), "en").words == words("okay then")

    def test_a_change_of_numerals_forgets_nothing(self) -> None:
        formatter = Formatter(TextOptions(punctuate=True, redact=("password",)), live=True)
        formatter.format(words("my password is"), "en")
        assert formatter.with_numerals(True).format(words("hunter2"), "en").words[0].text == "[PASSWORD_1]"
