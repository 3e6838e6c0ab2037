"""What numbers that are dictated mean where no finder read them whole: "five five five. And then one two three."

Whisper writes a full stop or an ellipsis wherever a speaker pauses between the groups of a number. The finders end there, so
that "I have four. Five people came" stays two numbers; redaction cannot afford to.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from types import MappingProxyType

from app.domain.text.digits import JOINTS, PLAIN_LABELS, DigitRun
from app.domain.text.finders.keywords import NOT_AFTER_IDENTIFIER, announced
from app.domain.text.finders.speech import CONTEXT_WORDS
from app.domain.text.finding import Finding

SPOKEN_IN_DIGITS = frozenset(
    {"account_number", "bank_account", "credit_card", "cvv", "driver_license", "healthcare_number", "location_zip",
     "numerical_pii", "passport_number", "phone_number", "routing_number", "ssn", "vehicle_id"}
)  # fmt: skip
"""Types that are dictated digit by digit: half of one is already worth hiding."""

LIKELY_DIGITS = MappingProxyType(
    {
        "credit_card": frozenset(range(12, 100)),
        "phone_number": frozenset({7, *range(10, 16)}),
        "ssn": frozenset({9}),
    }
)
"""Digits, said one by one, that are taken for such a number though nothing announces it, or one misheard digit breaks its
form."""

_BIRTH = re.compile(r"\b(?:date of birth|d o b|dob|birthday|birth ?date)\b")
_DIGITS_OF_DATE = range(3, 9)
"""A date of birth in digits: "three twenty three ninety", "03231990"."""

_LONG_ENOUGH = 7
"""Digits after which "and" rather begins something new: "my number is 555-1234 and 20 people have it"."""

_MOST_JOINTS = 4
"""Words that may part two groups of a number."""


class DictatedNumbers:
    """Knows the runs of digits that are, or are a part of, a number of one of ``types``."""

    def __init__(self, types: Collection[str]) -> None:
        self._labels = frozenset(name.upper() for name in types if name in SPOKEN_IN_DIGITS or name == "dob")
        self._likely = frozenset[int]().union(*(LIKELY_DIGITS[name] for name in types if name in LIKELY_DIGITS))

    def __bool__(self) -> bool:
        return bool(self._labels)

    def hidden(
        self, bare: Sequence[str], runs: Sequence[DigitRun], findings: Sequence[Finding], before: Sequence[str] = ()
    ) -> Iterator[DigitRun]:
        """Those of ``runs`` that have to be hidden. ``findings`` and ``runs`` count the ``bare`` words; ``before`` are
        others that were said before them."""
        known = _labels_at(len(bare), findings)
        for group in _groups(bare, runs):
            if self._is_wanted(group, bare, known, before):
                yield from group

    def _is_wanted(
        self, group: Sequence[DigitRun], bare: Sequence[str], known: Sequence[str], earlier: Sequence[str]
    ) -> bool:
        labels = {known[index] for run in group for index in range(run.start, run.end)} - {""}
        if labels - PLAIN_LABELS:
            # a number of which the first group is found goes on behind a full stop, or behind "and" while it is short
            is_short = len(group) == 1 or group[0].written < _LONG_ENOUGH
            return is_short and all(run.spelled for run in group) and labels <= self._labels | {"NUMBER"}
        digits = sum(run.written for run in group)
        is_spelled = all(run.spelled for run in group)
        if is_spelled and digits in self._likely:
            return True
        start, end = group[0].start, group[-1].end
        if end < len(bare) and bare[end] in NOT_AFTER_IDENTIFIER:
            return False
        before = " ".join([*earlier, *bare[max(0, start - CONTEXT_WORDS) : start]][-CONTEXT_WORDS:])
        if "DOB" in self._labels and digits in _DIGITS_OF_DATE and _BIRTH.search(before):
            return True
        return announced(before, digits, near=not is_spelled) in self._labels


def _labels_at(count: int, findings: Sequence[Finding]) -> list[str]:
    """The label of the finding that each word is in, or nothing."""
    labels = [""] * count
    for finding in findings:
        labels[finding.start : finding.end] = [finding.label] * (finding.end - finding.start)
    return labels


def _groups(bare: Sequence[str], runs: Sequence[DigitRun]) -> Iterator[list[DigitRun]]:
    """Each run, with those of several digits after it that only "and" parts from it."""
    group: list[DigitRun] = []
    for run in runs:
        if group and not _goes_on(bare, group[-1], run):
            yield group
            group = []
        group.append(run)
    if group:
        yield group


def _goes_on(bare: Sequence[str], run: DigitRun, later: DigitRun) -> bool:
    if not (run.spelled and later.spelled and run.written > 1 and later.written > 1):
        return False
    between = bare[run.end : later.start]
    return len(between) <= _MOST_JOINTS and all(text == "and" or text in JOINTS for text in between)
