import pytest

from app.domain.text.redaction_rules import FOUND_IN_ENGLISH, GROUPS, KNOWN, redaction_warnings, types_of, unsupported


def test_groups_hold_known_types_only() -> None:
    for types in GROUPS.values():
        assert types <= KNOWN
    assert FOUND_IN_ENGLISH <= KNOWN


@pytest.mark.parametrize("name", ["cardinal", "ordinal", "percent", "true", "everything", ""])
def test_what_deepgram_refuses_is_unknown(name: str) -> None:
    assert name not in KNOWN


@pytest.mark.parametrize("name", ["name", "occupation", "gender_sexuality", "blood_type", "zodiac_sign", "pii", "numbers"])
def test_deepgrams_names_are_known(name: str) -> None:
    assert name in KNOWN


def test_a_type_contains_its_subtypes() -> None:
    assert {"location", "location_address", "location_address_street", "location_zip"} <= types_of(["location"])
    assert {"date", "dob"} <= types_of(["date"])
    assert types_of(["pci"]) == {"credit_card", "credit_card_expiration", "cvv"}


def test_what_no_rule_finds_is_named() -> None:
    assert unsupported(["pci", "ssn", "phone_number"]) == ()
    assert unsupported(["name"]) == ("name", "name_family", "name_given", "name_medical_professional")
    assert {"name", "occupation", "religion"} <= set(unsupported(["pii"]))
    assert unsupported(["pci"], "fr") == ("credit_card", "credit_card_expiration", "cvv")


def test_one_warning_covers_all_languages() -> None:
    (warning,) = redaction_warnings(["pci", "name_given"], {"en", "de"})
    assert (warning.parameter, warning.type) == ("redact", "partial")
    assert warning.message == "Not redacted, because no rule finds it: credit_card, credit_card_expiration, cvv, name_given."
    assert redaction_warnings(["pci"], {"en"}) == ()
    assert redaction_warnings([], {"de"}) == ()


def test_a_language_whose_numbers_in_words_are_not_known_is_named() -> None:
    (warning,) = redaction_warnings(["numbers"], {"en", "ru", "ko"})
    assert warning.message.endswith(" Numbers in words are not known in: ko, ru.")
