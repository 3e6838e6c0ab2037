"""What stands in the words: finders for numbers and everything that is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from app.domain.text.finders.dates import find_dates
from app.domain.text.finders.expirations import find_expirations
from app.domain.text.finders.identifiers import find_announced, find_cards, find_codes, find_ibans
from app.domain.text.finders.money import find_money
from app.domain.text.finders.phones import find_phones
from app.domain.text.finders.places import find_addresses, find_zips
from app.domain.text.finders.quantities import find_ages, find_measures, find_numbers, find_percentages
from app.domain.text.finders.speech import Speech
from app.domain.text.finders.times import find_durations, find_times
from app.domain.text.finders.web import find_emails, find_ip_addresses, find_sites
from app.domain.text.finding import Finding
from app.domain.transcript import Word

__all__ = ["find"]

Finder = Callable[[Speech], Iterator[Finding]]

_ANY_LANGUAGE: tuple[Finder, ...] = (
    find_emails,
    find_sites,
    find_ip_addresses,
    find_cards,
    find_ibans,
    find_phones,
    find_numbers,
)
"""Finders of forms that look the same in every language, best reading first."""

_ENGLISH: tuple[Finder, ...] = (
    find_emails,
    find_sites,
    find_ip_addresses,
    find_cards,
    find_ibans,
    find_expirations,
    find_codes,
    find_announced,
    find_phones,
    find_addresses,
    find_zips,
    find_dates,
    find_times,
    find_money,
    find_percentages,
    find_ages,
    find_durations,
    find_measures,
    find_numbers,
)
"""All finders, best reading first: of two findings that overlap the earlier finder's stands."""


def find(words: Sequence[Word], language: str) -> tuple[Finding, ...]:
    """Everything that is known in ``words``: in order, none overlapping another.

    ``language`` is Whisper's code. English is read in full; in other languages numbers, and what has the same written form
    everywhere.
    """
    speech = Speech(words, language)
    taken = bytearray(len(words))
    found: list[Finding] = []
    for finder in _ENGLISH if language == "en" else _ANY_LANGUAGE:
        for finding in finder(speech):
            if not any(taken[finding.start : finding.end]):
                taken[finding.start : finding.end] = b"\x01" * (finding.end - finding.start)
                found.append(finding)
    return tuple(sorted(found, key=lambda finding: finding.start))
