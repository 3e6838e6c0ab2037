"""What ``redact`` may name (contract 2.7, and Deepgram's table of entity types), and what of it rules can find."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from app.domain.text.finders.numbers import LANGUAGES
from app.domain.transcript import RequestWarning

_LOCATIONS = frozenset(
    {"location_address", "location_address_street", "location_city", "location_coordinate", "location_country",
     "location_state", "location_zip"}
)  # fmt: skip
_NAMES = frozenset({"name_family", "name_given", "name_medical_professional"})
_CARDS = frozenset({"credit_card", "credit_card_expiration", "cvv"})
_PERSONAL = frozenset(
    {"account_number", "age", "date", "date_interval", "dob", "driver_license", "duration", "email_address", "event",
     "filename", "gender", "gender_sexuality", "healthcare_number", "ip_address", "language", "location", "marital_status",
     "money", "name", "numerical_pii", "occupation", "organization", "organization_medical_facility", "origin",
     "passport_number", "password", "phone_number", "physical_attribute", "political_affiliation", "religion", "sexuality",
     "ssn", "time", "url", "username", "vehicle_id", "zodiac_sign"}
) | _LOCATIONS | _NAMES  # fmt: skip
_HEALTH = frozenset({"blood_type", "condition", "dose", "drug", "injury", "medical_process", "statistics"})
_NUMBERS = frozenset(
    {"account_number", "age", "bank_account", "credit_card", "credit_card_expiration", "cvv", "date", "date_interval",
     "dob", "driver_license", "healthcare_number", "ip_address", "location", "location_address", "location_coordinate",
     "location_zip", "money", "numerical_pii", "passport_number", "password", "phone_number", "routing_number", "ssn",
     "time", "vehicle_id"}
)  # fmt: skip

ENTITY_TYPES = (
    _PERSONAL
    | _HEALTH
    | _NUMBERS
    | {"corporate_action", "day", "effect", "financial_metric", "medical_code", "month", "organization_id", "product"}
    | {"project", "trend", "year"}
)
"""Types that may be redacted one by one. Deepgram answers 400 for ``cardinal``, ``ordinal`` and ``percent``; so do we."""

NUMBERS, AGGRESSIVE_NUMBERS = "numbers", "aggressive_numbers"

GROUPS = MappingProxyType(
    {
        NUMBERS: _NUMBERS,
        AGGRESSIVE_NUMBERS: _NUMBERS,
        "pci": _CARDS,
        "pii": _PERSONAL,
        "phi": _HEALTH,
    }
)
"""Names that stand for several types. The two of numbers redact digits too."""

KNOWN = ENTITY_TYPES | frozenset(GROUPS)
"""Every name that ``redact`` may have, apart from ``true`` (which is ``numbers``) and ``false``."""

_INCLUDED = MappingProxyType(
    {
        "location": _LOCATIONS,
        "location_address": frozenset({"location_address_street"}),
        "name": _NAMES,
        "date": frozenset({"dob", "date_interval", "credit_card_expiration"}),
        "account_number": frozenset({"bank_account", "routing_number"}),
        "numerical_pii": frozenset({"account_number", "bank_account", "routing_number", "driver_license"}),
    }
)
"""Types that contain others: what is a date of birth is a date."""

FOUND_IN_ENGLISH = _CARDS | frozenset(
    {"account_number", "age", "bank_account", "date", "date_interval", "dob", "driver_license", "duration",
     "email_address", "healthcare_number", "ip_address", "location_address", "location_zip", "money", "numerical_pii",
     "passport_number", "password", "phone_number", "routing_number", "ssn", "time", "url", "username", "vehicle_id"}
)  # fmt: skip
"""Types that the finders know by their form or by the words before them. The rest needs knowledge of the world."""


def types_of(rules: Iterable[str]) -> frozenset[str]:
    """The entity types that ``rules`` (each one in ``KNOWN``) redact, groups and containing types resolved."""
    types: set[str] = set()
    for rule in rules:
        types |= GROUPS.get(rule, frozenset({rule}))
    for containing, contained in _INCLUDED.items():
        if containing in types:
            types |= contained
    return frozenset(types)


def redaction_warnings(rules: Iterable[str], languages: Iterable[str]) -> tuple[RequestWarning, ...]:
    """One warning that names what stays readable in any of the ``languages`` though ``rules`` ask for it; or none."""
    rules = tuple(rules)
    languages = frozenset(languages)
    missing = sorted({name for language in languages for name in unsupported(rules, language)})
    unread = sorted(languages - LANGUAGES) if rules else []
    message = f"Not redacted, because no rule finds it: {', '.join(missing)}." if missing else ""
    if unread:
        message += f"{' ' if message else ''}Numbers in words are not known in: {', '.join(unread)}."
    return (RequestWarning("redact", "partial", message),) if message else ()


def unsupported(rules: Iterable[str], language: str = "en") -> tuple[str, ...]:
    """The types among those asked for that no rule finds in ``language`` (Whisper's code), in alphabetical order.

    For a group that is the warning it needs: what stays readable. Outside English nothing but digits is found for sure.
    """
    found = FOUND_IN_ENGLISH if language == "en" else frozenset()
    return tuple(sorted(types_of(rules) - found))
