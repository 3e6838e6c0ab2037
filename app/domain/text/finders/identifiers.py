"""Numbers that stand for persons, cards and accounts: by their shape, their checksum, or the words that announce them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from app.domain.text.finders.keywords import NOT_AFTER_IDENTIFIER, announced
from app.domain.text.finders.phones import with_extension, write_phone
from app.domain.text.finders.runs import Run
from app.domain.text.finders.speech import Speech
from app.domain.text.finders.spelling import read_code
from app.domain.text.finding import Finding

_SSN = re.compile(r"\d{3}-\d{2}-\d{4}")
_IBAN_START = re.compile(r"[a-z]{2}\d{2}[a-z0-9]*")
_CARD_LENGTHS = range(13, 20)
_SHORTEST_CODE = 4
_CODE_TRIGGERS = frozenset({
    "account", "acct", "badge", "booking", "card", "case", "claim", "code", "confirmation", "d", "id", "iban", "insurance",
    "invoice", "license", "licence", "medicaid", "medicare", "member", "n", "number", "order", "passport", "pin", "plate",
    "policy", "reference", "registration", "serial", "ticket", "tracking", "vin",
})  # fmt: skip
_CODE_LINKS = frozenset({"number", "code", "id", "is", "it's", "its", "was", "the", "my", "that's", "no", ""})
_SECRETS = {
    "password": "PASSWORD", "passcode": "PASSWORD", "passphrase": "PASSWORD", "username": "USERNAME",
}  # fmt: skip
_SECRET_WORDS = (("pass", "word", "PASSWORD"), ("pass", "code", "PASSWORD"), ("user", "name", "USERNAME"))
_SECRET_LINKS = frozenset({"is", "was", "equals", "now", "be", "will", "colon", "currently"})
_NO_SECRETS = frozenset({
    "the", "a", "an", "not", "wrong", "incorrect", "my", "your", "too", "in", "on", "for", "to", "of", "and", "very",
    "still",
})  # fmt: skip


def find_cards(speech: Speech) -> Iterator[Finding]:
    """Card numbers that pass their check digit, whatever is said around them; in any language."""
    for run in speech.runs:
        for part in (run, *run.phrases(speech.pauses)):
            if (
                len(part.digits) in _CARD_LENGTHS
                and part.digits[0] in "23456"
                and passes_luhn(part.digits)
                and not part.is_count
            ):
                yield Finding("CREDIT_CARD", part.start, part.end, _write_card(part.digits))


def find_ibans(speech: Speech) -> Iterator[Finding]:
    """International bank account numbers, by their checksum; in any language."""
    starts = [index for text, indices in speech.positions.items() if _IBAN_START.fullmatch(text) for index in indices]
    for index in speech.places(("iban",)):
        start = index + 1
        while speech.text(start) in _CODE_LINKS and start < len(speech):
            start += 1
        starts.append(start)
    for start in sorted(starts):
        end, code = read_code(speech, start)
        if 15 <= len(code) <= 34 and code[:2].isalpha() and code[2:4].isdecimal() and _passes_mod_97(code):
            yield Finding("BANK_ACCOUNT", start, end, tuple(code[first : first + 4] for first in range(0, len(code), 4)))


def find_announced(speech: Speech) -> Iterator[Finding]:
    """Digits whose kind the words before them tell: "my account number is ..."."""
    for run in speech.runs:
        for part in (run, *run.phrases(speech.pauses)):
            if not _said_as_digits(part) or speech.text(part.end) in NOT_AFTER_IDENTIFIER:
                continue
            label = announced(speech.before(part.start), len(part.digits), near=part.is_count)
            if label:
                finding = Finding(label, part.start, part.end, _write(label, part))
                yield with_extension(speech, finding) if label == "PHONE_NUMBER" else finding
            elif len(part.pieces) == 1 and part.pieces[0].number and _SSN.fullmatch(part.pieces[0].number.written):
                yield Finding("SSN", part.start, part.end, (part.pieces[0].number.written,))


def find_codes(speech: Speech) -> Iterator[Finding]:
    """Announced codes of letters and digits, and passwords and user names after "is"."""
    reached = 0
    for index in sorted(speech.places(_CODE_TRIGGERS)):
        start = index + 1
        while start < min(len(speech), index + 5) and speech.texts[start] in _CODE_LINKS:
            start += 1
        if start < max(reached, index + 1) or (speech.text(start) == "a" and len(speech.text(start + 1)) > 1):
            continue
        end, code = read_code(speech, start)
        if len(code) < _SHORTEST_CODE or code.isdecimal() or code.isalpha():
            continue
        label = announced(speech.before(start), len(code), coded=True)
        if label:
            reached = end
            yield Finding(label, start, end, (code,))
    for text, label in _SECRETS.items():
        yield from _secrets(speech, [index + 1 for index in speech.places((text,))], label)
    for first, second, label in _SECRET_WORDS:
        yield from _secrets(speech, [at + 1 for at in speech.places((second,)) if speech.text(at - 1) == first], label)


def _secrets(speech: Speech, starts: Iterable[int], label: str) -> Iterator[Finding]:
    """What is said to be the password or the user name that is named before each of ``starts``."""
    for first in starts:
        start = first
        while start < len(speech) and speech.texts[start] in _SECRET_LINKS and not speech.closes[start]:
            start += 1
        is_named = start > first or speech.words[first - 1].text.endswith(":")
        if start >= len(speech) or speech.texts[start] in _NO_SECRETS or not speech.texts[start]:
            continue
        end, code = read_code(speech, start)
        if end == start + 1 or len(code) < _SHORTEST_CODE or code.isalpha():
            end, code = start + 1, speech.shown(start)
        if is_named or (any(map(str.isdecimal, code)) and not speech.pauses[first - 1] and len(code) >= _SHORTEST_CODE):
            yield Finding(label, start, end, (code,))


def passes_luhn(digits: str) -> bool:
    """Whether the last of ``digits`` is the check digit of the rest, as on every payment card."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0 and len(set(digits)) > 1


def _passes_mod_97(code: str) -> bool:
    return int("".join(str(int(character, 36)) for character in code[4:] + code[:4])) % 97 == 1


def _said_as_digits(run: Run) -> bool:
    """Whether a number was dictated: written, or in pieces; "five thousand" is an amount."""
    number = run.pieces[0].number
    return len(run.pieces) > 1 or number is None or not number.spoken


def _write(label: str, run: Run) -> tuple[str, ...]:
    digits = run.digits
    if label == "SSN" and len(digits) == 9:
        return (f"{digits[:3]}-{digits[3:5]}-{digits[5:]}",)
    if label == "LOCATION_ZIP" and len(digits) == 9:
        return (f"{digits[:5]}-{digits[5:]}",)
    if label == "CREDIT_CARD":
        return _write_card(digits)
    usual = write_phone(digits) if label == "PHONE_NUMBER" else (digits,)
    return run.groups or usual if usual == (digits,) else usual


def _write_card(digits: str) -> tuple[str, ...]:
    if len(digits) == 15:
        return digits[:4], digits[4:10], digits[10:]
    return tuple(digits[start : start + 4] for start in range(0, len(digits), 4))
