"""Until when a payment card is valid: ``04/26``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.domain.text.finders.dates import read_year
from app.domain.text.finders.ordinary import MONTHS
from app.domain.text.finders.speech import Speech
from app.domain.text.finding import Finding

_KEYWORDS = frozenset({"expiration", "expires", "expiry", "expiring", "exp"})
_VALID = frozenset({"valid", "good"})
_LINKS = frozenset({"date", "is", "on", "in", "of", "the", "it", "at", "end", "month", ""})
_WRITTEN = re.compile(r"(?:0?[1-9]|1[0-2])/(?:20)?\d\d")

_MOST_LINKS = 5


def find_expirations(speech: Speech) -> Iterator[Finding]:
    """A month and a year right after "expires", "expiration date is" or "valid through"."""
    announced = [*speech.places(_KEYWORDS)]
    announced += [
        index + 1 for index in speech.places(_VALID) if speech.text(index + 1) in {"through", "thru", "until", "till"}
    ]
    for index in announced:
        start = index + 1
        while start < min(len(speech), index + 1 + _MOST_LINKS) and speech.texts[start] in _LINKS:
            start += 1
        found = _month_and_year(speech, start)
        if found is not None:
            yield Finding("CREDIT_CARD_EXPIRATION", start, *found)


def _month_and_year(speech: Speech, start: int) -> tuple[int, tuple[str, ...]] | None:
    """Where the month and year at ``start`` end, and how they are written."""
    text = speech.text(start)
    if _WRITTEN.fullmatch(text):
        return start + 1, (text,)
    if text in MONTHS:
        year = read_year(speech, start + 1)
        return None if year is None else (year[0], (text.capitalize(), year[1]))
    run = speech.run_starts.get(start)
    if run is None:
        return None
    digits, end = run.digits, run.end
    if speech.text(end) == "slash":
        # "twelve slash twenty five"
        years = speech.run_starts.get(end + 1)
        if years is None or len(years.digits) not in (2, 4) or len(digits) > 2:
            return None
        return _write(digits, years.digits, years.end)
    if len(digits) in (3, 5):
        digits = f"0{digits}"
    if len(digits) in (4, 6) and (len(run.pieces) > 1 or run.pieces[0].number is None or len(digits) == 6):
        return _write(digits[:2], digits[2:], end)
    return None


def _write(month: str, year: str, end: int) -> tuple[int, tuple[str, ...]] | None:
    return (end, (f"{int(month):02d}/{year}",)) if 1 <= int(month) <= 12 else None
