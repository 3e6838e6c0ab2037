from __future__ import annotations

import pytest

from app.domain.text.edits import Edited
from app.domain.text.finders import find
from app.domain.text.finding import Finding
from app.domain.text.redaction import Redactor
from tests.support.transcripts import words


def redacted(text: str, *rules: str, redactor: Redactor | None = None, live: bool = False, interim: bool = False) -> str:
    spoken = words(text)
    hider = redactor or Redactor(rules, live=live)
    edits = hider.edits(spoken, find(spoken, "en"), interim=interim)
    return " ".join(word.text for word in Edited.untouched(spoken).apply(edits).words)


@pytest.mark.parametrize(
    ("rule", "spoken", "shown"),
    [
        ("account_number", "account number four four one nine two two seven", "account number [ACCOUNT_NUMBER_1]"),
        ("age", "I am twenty five years old", "I am [AGE_1]"),
        ("bank_account", "bank account one two three four five six seven eight", "bank account [BANK_ACCOUNT_1]"),
        ("credit_card", "card 4111 1111 1111 1111, thanks", "card [CREDIT_CARD_1], thanks"),
        ("credit_card_expiration", "it expires oh four twenty seven", "it expires [CREDIT_CARD_EXPIRATION_1]"),
        ("cvv", "the c v v is four two seven", "the c v v is [CVV_1]"),
        ("date", "on November second twenty twenty two.", "on [DATE_1]."),
        ("dob", "my date of birth is May first nineteen eighty", "my date of birth is [DOB_1]"),
        ("driver_license", "driver's license d one two three four five six seven", "driver's license [DRIVER_LICENSE_1]"),
        ("duration", "it took three hours", "it took [DURATION_1]"),
        ("email_address", "write to john dot smith at gmail dot com please", "write to [EMAIL_ADDRESS_1] please"),
        ("ip_address", "it is 192.168.1.1 now", "it is [IP_ADDRESS_1] now"),
        ("location_address", "I live at three hundred main street", "I live at [LOCATION_ADDRESS_1]"),
        ("location_zip", "the zip code is nine oh two one oh", "the zip code is [LOCATION_ZIP_1]"),
        ("money", "it costs $15.50, no more", "it costs [MONEY_1], no more"),
        ("passport_number", "passport number x one two three four five six seven", "passport number [PASSPORT_NUMBER_1]"),
        ("phone_number", "call five five five one two three four five six seven", "call [PHONE_NUMBER_1]"),
        ("phone_number", "call (555) 123-4567.", "call [PHONE_NUMBER_1]."),
        ("routing_number", "routing number zero two one zero zero zero zero two one", "routing number [ROUTING_NUMBER_1]"),
        ("ssn", "social security one two three four five six seven eight nine", "social security [SSN_1]"),
        ("time", "at eight thirty seven p m", "at [TIME_1]"),
        ("url", "visit www.example.com today", "visit [URL_1] today"),
        ("vehicle_id", "the license plate is seven a b c one two three", "the license plate is [VEHICLE_ID_1]"),
    ],
)  # fmt: skip
def test_each_type_that_rules_find_is_numbered_under_its_name(rule: str, spoken: str, shown: str) -> None:
    assert redacted(spoken, rule) == shown


@pytest.mark.parametrize(
    ("group", "spoken", "shown"),
    [
        ("pci", "card 4111 1111 1111 1111 and three dollars", "card [CREDIT_CARD_1] and three dollars"),
        ("pii", "call 555-123-4567 about 4111 1111 1111 1111", "call [PHONE_NUMBER_1] about 4111 1111 1111 1111"),
        ("date", "born on May first nineteen eighty", "born on [DOB_1]"),
        ("phi", "call 555-123-4567", "call 555-123-4567"),
    ],
)
def test_groups_stand_for_their_types(group: str, spoken: str, shown: str) -> None:
    assert redacted(spoken, group) == shown


@pytest.mark.parametrize(
    ("spoken", "shown"),
    [
        ("it is four two seven one, okay?", "it is [REDACTED], okay?"),
        ("it is 4271.", "it is [REDACTED]."),
        ("it is four, two, seven", "it is [REDACTED]"),
        ("it is oh four two", "it is [REDACTED]"),
        ("it is four dash two dash seven", "it is [REDACTED]"),
        ("it is twenty five", "it is twenty five"),
        ("two hundred and five people", "[REDACTED] people"),
        ("a hundred-and something", "a hundred-and something"),
        ("two and three and four", "two and three and four"),
        ("oh, four people", "oh, four people"),
        ("it costs three dollars", "it costs [MONEY_1]"),
    ],
)
def test_numbers_hides_three_numerals_in_a_row_and_the_types_of_its_group(spoken: str, shown: str) -> None:
    assert redacted(spoken, "numbers") == shown


def test_aggressive_numbers_hides_every_numeral() -> None:
    assert (
        redacted("two of them, 5% of 12 people", "aggressive_numbers")
        == "[REDACTED] of them, [REDACTED] of [REDACTED] people"
    )


def test_values_are_numbered_by_what_they_are_not_by_how_they_are_written() -> None:
    redactor = Redactor(["money", "phone_number"])
    assert redacted("$20 and twenty dollars and $30", redactor=redactor) == "[MONEY_1] and [MONEY_1] and [MONEY_2]"
    assert redacted("call 555-123-4567", redactor=redactor) == "call [PHONE_NUMBER_1]"
    assert redacted("thirty dollars", redactor=redactor) == "[MONEY_2]", "numbers last as long as the redactor"


def test_a_redacted_stretch_is_one_word_with_its_whole_time_and_nothing_of_its_text() -> None:
    spoken = words("call \u201c555 123 4567\u201d!")
    word = Edited.untouched(spoken).apply(Redactor(["numbers"]).edits(spoken, find(spoken, "en"))).words[1]
    assert (word.text, word.bare, word.start_s, word.end_s) == (
        "\u201c[PHONE_NUMBER_1]\u201d!",
        "[PHONE_NUMBER_1]",
        0.5,
        2.0,
    )


@pytest.mark.parametrize(
    ("rule", "spoken", "shown"),
    [
        ("credit_card", "four one one one one one one one one one one one one one one two", "[REDACTED]"),
        ("ssn", "one two three four five six seven eight nine", "[REDACTED]"),
        ("phone_number", "five five five one two three four five six seven", "[REDACTED]"),
        ("ssn", "two hundred twenty two million people", "two hundred twenty two million people"),
    ],
)
def test_digits_as_long_as_a_card_are_hidden_though_no_finder_knows_them(rule: str, spoken: str, shown: str) -> None:
    heard = words(spoken)
    assert " ".join(word.text for word in Edited.untouched(heard).apply(Redactor([rule]).edits(heard, ())).words) == shown


def test_digits_that_are_known_to_be_something_else_stay() -> None:
    heard = words("one two three four five six seven eight nine")
    assert Redactor(["ssn"]).edits(heard, [Finding("ACCOUNT_NUMBER", 0, 9, ("123456789",))]) == []


class TestInterims:
    def test_are_never_numbered(self) -> None:
        redactor = Redactor(["money"], live=True)
        assert redacted("it costs $20", redactor=redactor, interim=True) == "it costs [REDACTED]"
        assert redacted("it costs $30", redactor=redactor) == "it costs [MONEY_1]"

    def test_hide_the_beginning_of_a_number_at_their_end(self) -> None:
        assert redacted("my card is four", "pci", live=True, interim=True) == "my card is [REDACTED]"
        assert redacted("my card is four dash", "pci", live=True, interim=True) == "my card is [REDACTED] dash"
        assert redacted("four people came", "pci", live=True, interim=True) == "four people came"

    def test_hide_the_beginning_of_an_address_at_their_end(self) -> None:
        assert redacted("write to john dot smith at", "pii", live=True, interim=True) == "write to [REDACTED]"
        assert redacted("write to john dot smith", "email_address", live=True, interim=True) == "write to [REDACTED]"


class TestPiecesOfAStream:
    def test_a_number_cut_by_the_end_of_a_result_is_hidden(self) -> None:
        assert redacted("my card is four one one one", "pci", live=True) == "my card is [REDACTED]"
        assert redacted("one one one one is my card", "pci", live=True) == "[REDACTED] is my card"

    def test_a_number_in_the_middle_or_of_a_recording_is_not_cut(self) -> None:
        assert redacted("room four one one please", "pci", live=True) == "room four one one please"
        assert redacted("room four one one", "pci") == "room four one one"

    @pytest.mark.parametrize("rule", ["numbers", "pci", "ssn", "phone_number"])
    def test_a_number_dictated_with_pauses_shows_its_first_two_digits_at_most(self, rule: str) -> None:
        redactor = Redactor([rule], live=True)
        pieces = ["my number is five five", "five one", "", "dash", "two", "three four is it", "room two"]
        shown = [redacted(piece, redactor=redactor) for piece in pieces]
        assert shown == [
            "my number is five five", "[REDACTED]", "", "dash", "[REDACTED]", "[REDACTED] is it", "room two"
        ]  # fmt: skip

    def test_interims_go_on_from_the_last_final_and_leave_no_trace(self) -> None:
        redactor = Redactor(["pci"], live=True)
        assert redacted("my card is four one", redactor=redactor) == "my card is four one"
        assert redacted("two nine is", redactor=redactor, interim=True) == "[REDACTED] is"
        assert redacted("and that is all", redactor=redactor) == "and that is all"
        assert redacted("two nine is", redactor=redactor, interim=True) == "two nine is"

    def test_an_amount_is_no_beginning_of_a_card_number(self) -> None:
        redactor = Redactor(["pci"], live=True)
        assert redacted("it costs five hundred", redactor=redactor) == "it costs five hundred"
        assert redacted("one two please", redactor=redactor) == "one two please"
        assert redacted("it costs five hundred", redactor=redactor) == "it costs five hundred"
        assert redacted("one two three please", redactor=redactor) == "[REDACTED] please"

    def test_each_channel_goes_on_from_its_own_words(self) -> None:
        redactor = Redactor(["pci"], live=True)
        redactor.edits(words("my card is four one"), (), channel_index=0)
        assert redactor.edits(words("two nine is my room"), (), channel_index=1) == []
        assert len(redactor.edits(words("two nine is my card"), (), channel_index=0)) == 1

    def test_channels_of_a_recording_do_not_go_on(self) -> None:
        redactor = Redactor(["pci"])
        assert redacted("my card is four one", redactor=redactor) == "my card is four one"
        assert redacted("two nine is my room", redactor=redactor) == "two nine is my room"

    def test_an_address_cut_by_the_end_of_a_result_is_hidden(self) -> None:
        assert redacted("write to john dot smith at", "email_address", live=True) == "write to [REDACTED]"
        assert redacted("at gmail dot com please", "email_address", live=True) == "[REDACTED] please"

    def test_amounts_are_no_parts_of_card_numbers(self) -> None:
        assert redacted("it costs five hundred", "pci", live=True) == "it costs five hundred"


def test_no_words_need_no_edits() -> None:
    for live in (False, True):
        assert Redactor(["pii", "numbers"], live=live).edits((), (), interim=live) == []
