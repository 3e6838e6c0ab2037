"""What digits are, by the words that announce them: "my account number is ...", "social security number ..."."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Announcement:
    """Words that announce digits of ``label``, as many as ``lengths`` says.

    ``near``: no other word than a linking one may stand between, for these lengths. ``coded``: letters may be among them.
    """

    label: str
    words: re.Pattern[str]
    lengths: range
    near: range = range(7)
    coded: bool = False


def _announce(label: str, words: str, lengths: Iterable[int], near: int = 6, *, coded: bool = False) -> Announcement:
    sizes = sorted(lengths)
    return Announcement(label, re.compile(rf"\b(?:{words})\b"), range(sizes[0], sizes[-1] + 1), range(near + 1), coded)


_SSN = r"ssn|s s n|s\.s\.n|social security(?: number)?|(?:my|your|his|her|their|the) social"

ANNOUNCEMENTS = (
    _announce("SSN", _SSN, (9,)),
    _announce("SSN", _SSN, (4,)),
    _announce("CVV", r"cvv2?|cvc2?|cvn|c v v|c v c|(?:card )?security code|card (?:verification )?(?:code|value)"
              r"|(?:three|four|3|4)[ -]digits?(?: (?:code|number))?", (3, 4)),
    _announce("CREDIT_CARD", r"(?:credit|debit)(?: card)?(?: number)?|card(?: number)?|visa|mastercard|amex", (12, 19)),
    _announce("ROUTING_NUMBER", r"routing(?: (?:and )?(?:transit )?number)?|aba number|sort code", (6, 9), 0),
    _announce("BANK_ACCOUNT", r"(?:bank|checking|chequing|savings?)(?: account)(?: number)?|iban", (4, 17)),
    _announce("ACCOUNT_NUMBER", r"(?:account|acct|customer|member(?:ship)?|loan)(?: (?:number|id|i d))?", (4, 17),
              coded=True),
    _announce("LOCATION_ZIP", r"zip(?: ?code)?|postal code|post ?code", (5, 9), 4),
    _announce("HEALTHCARE_NUMBER", r"medicare|medicaid|nhs(?: number)?|mrn|health (?:card|plan|insurance)"
              r"(?: number| id)?", (5, 16), coded=True),
    _announce("HEALTHCARE_NUMBER", r"(?:medical record|insurance|patient)(?: (?:number|id|i d))", (4, 16), coded=True),
    _announce("DRIVER_LICENSE", r"(?:driver'?s?'?|driving) licen[cs]e(?: number)?|licen[cs]e number", (5, 16), coded=True),
    _announce("PASSPORT_NUMBER", r"passport(?: number)?", (6, 10), coded=True),
    _announce("VEHICLE_ID", r"vin(?: number)?|v i n|vehicle identification number|(?:licen[cs]e|number) plate|plate"
              r"(?: number)?|registration(?: number)?", (4, 17), 17, coded=True),
    _announce("NUMERICAL_PII", r"(?:tracking|order|confirmation|reference|case|ticket|claim|policy|invoice|serial|employee"
              r"|badge|booking) (?:number|code|id)|pin(?: (?:number|code))?", (3, 30), 30, coded=True),
    _announce("PHONE_NUMBER", r"phone|telephone|cell(?:phone)?|mobile|fax|call|dial|text|reach|ring|(?:phone|contact"
              r"|callback|cell|mobile|telephone|fax|home|work|office) number", (7, 15)),
)  # fmt: skip
"""Ordered: of two that end at the same word the earlier one is meant."""

_ANY_NUMBER = re.compile(r"\bnumber\b")

_LINKS = frozenset({
    "number", "code", "id", "is", "it's", "its", "that's", "was", "are", "the", "my", "your", "of", "on", "card", "last",
    "three", "four", "digits", "ending", "back", "and", "no", "for", "a", "this", "again", "me", "us", "you", "him", "her",
    "them", "at", "",
})  # fmt: skip
"""Words that may stand between an announcement and what it announces."""


NOT_AFTER_IDENTIFIER = frozenset({
    "dollar", "dollars", "cents", "euros", "pounds", "percent", "people", "times", "years", "months", "days", "hours",
    "minutes", "seconds", "weeks", "miles", "a", "p", "am", "pm", "a.m", "p.m",
})  # fmt: skip
"""Words after digits that make an amount of them."""


def announced(before: str, length: int, *, coded: bool = False, near: bool = False) -> str:
    """The label of ``length`` digits (or letters, if ``coded``), by the closest of the words ``before`` them.

    Empty where nothing announces them. Short ones, and any if ``near``, need their announcement right before them.
    """
    best, label = -1, ""
    for announcement in ANNOUNCEMENTS:
        if length not in announcement.lengths or (coded and not announcement.coded):
            continue
        for match in announcement.words.finditer(before):
            is_near = not (near or length in announcement.near) or _LINKS.issuperset(
                before[match.end() :].replace("ending in", "").split()
            )
            if is_near and match.end() > best:
                best, label = match.end(), announcement.label
    if not label and length in (7, 10, 11) and not (coded or near) and _ANY_NUMBER.search(before):
        return "PHONE_NUMBER"
    return label
