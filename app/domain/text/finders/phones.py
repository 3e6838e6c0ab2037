"""Telephone numbers: North American ones by their shape, international ones after a plus, all others when announced."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.domain.text.finders.runs import Run
from app.domain.text.finders.speech import Speech
from app.domain.text.finding import Finding

_NORTH_AMERICAN = re.compile(r"1?[2-9]\d{9}")
_LOCAL = re.compile(r"\d{3}-\d{4}")
_EXTENSIONS = frozenset({"extension", "ext", "x"})


def find_phones(speech: Speech) -> Iterator[Finding]:
    """Numbers that look like telephone numbers by themselves, with their extensions.

    Ten digits count in English only: elsewhere they are no telephone number. A plus counts everywhere.
    """
    for run in speech.runs:
        for part in (run, *run.phrases(speech.pauses)):
            finding = _international(speech, part)
            if finding is None and speech.language == "en" and _looks_american(part):
                finding = Finding("PHONE_NUMBER", part.start, part.end, write_phone(part.digits))
            if finding is not None:
                yield with_extension(speech, finding)


def with_extension(speech: Speech, finding: Finding) -> Finding:
    """A telephone number together with "extension two one" after it."""
    if speech.text(finding.end) not in _EXTENSIONS or speech.closes[finding.end - 1]:
        return finding
    run = speech.run_starts.get(finding.end + 1)
    if run is None or len(run.digits) > 6:
        return finding
    return Finding(finding.label, finding.start, run.end, (*finding.written, "ext.", run.digits))


def write_phone(digits: str) -> tuple[str, ...]:
    """``(555) 123-4567``, ``1-800-555-0100`` or ``555-1234``; other lengths in one piece."""
    if len(digits) == 7:
        return (f"{digits[:3]}-{digits[3:]}",)
    if len(digits) == 10 and digits[0] not in "01":
        return f"({digits[:3]})", f"{digits[3:6]}-{digits[6:]}"
    if len(digits) == 11 and digits[0] == "1":
        return (f"1-{digits[1:4]}-{digits[4:7]}-{digits[7:]}",)
    return (digits,)


def _looks_american(run: Run) -> bool:
    if run.is_count:
        return False
    number = run.pieces[0].number
    if len(run.pieces) == 1 and number is not None:
        if _LOCAL.fullmatch(number.written):
            return True
        if number.spoken:
            return False
    return _NORTH_AMERICAN.fullmatch(run.digits) is not None


def _international(speech: Speech, run: Run) -> Finding | None:
    number = run.pieces[0].number
    has_plus = speech.words[run.start].text.lstrip("(").startswith("+")
    start = run.start - 1 if speech.text(run.start - 1) == "plus" and not speech.pauses[run.start - 1] else run.start
    if not (has_plus or start < run.start) or not 8 <= len(run.digits) <= 15 or number is None:
        return None
    written = _write_international(run.digits)
    return Finding("PHONE_NUMBER", start, run.end, written) if written else None


def _write_international(digits: str) -> tuple[str, ...]:
    """As the country writes it; empty where no country has such numbers."""
    import phonenumbers

    try:
        number = phonenumbers.parse(f"+{digits}")
    except phonenumbers.NumberParseException:
        return ()
    if not phonenumbers.is_possible_number(number):
        return ()
    return tuple(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL).split())
