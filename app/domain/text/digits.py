"""Numerals in a row, written or spoken, counted by the digits that they would take: the floor under every redaction.

It knows less than the finders and misses less: whatever has a digit in it is a numeral here, and so is every English number
word. In other languages numbers that are spoken come from the finders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from app.domain.text.finders.ordinary import is_never_digit
from app.domain.text.finding import Finding

_UNITS = frozenset({"zero", "nought", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"})
_ORDINAL_UNITS = frozenset({"first", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"})
_TEENS = frozenset(
    {"ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
     "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
     "nineteenth"}
)  # fmt: skip
_TENS = frozenset({"twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"})
_ORDINAL_TENS = frozenset(
    {"twentieth", "thirtieth", "fortieth", "fiftieth", "sixtieth", "seventieth", "eightieth", "ninetieth"}
)
_LARGE = frozenset({"hundred", "thousand", "million", "billion", "trillion", "hundredth", "thousandth", "millionth"})

_DIGITS = {
    **dict.fromkeys(_UNITS | _ORDINAL_UNITS, 1),
    **dict.fromkeys(_TEENS | _TENS | _ORDINAL_TENS, 2),
    **dict.fromkeys(_LARGE, 3),
}
_PREFIXES = frozenset({"oh", "o", "double", "triple"})
"""Numerals only next to one: "oh four two", "double seven"."""
JOINTS = frozenset({
    "", "\n", "\n\n", "point", "dot", "dash", "hyphen", "slash", "minus", "uh", "um", "er", "erm", "ah", "eh", "hmm", "then",
})  # fmt: skip
"""What may stand between two numerals of one number, and is not said at its ends. A word of punctuation alone is one."""

PLAIN_LABELS = frozenset({"NUMBER", "ORDINAL", "PERCENT", "UNITS", "DURATION"})
"""Labels of findings that are numbers and nothing more."""

_GROUPING = str.maketrans("", "", "-\u2010\u2011\u2012\u2013\u2014()/+#")
_POSSESSIVES = ("'s", "\u2019s")
_SPELLED_PARTS = frozenset({*_UNITS, "oh", "o", "double", "triple"})

_EDGE_WORDS = 4
"""Joints that may lie between a numeral and the edge; looking farther would be quadratic."""


@dataclass(frozen=True, slots=True)
class DigitRun:
    """The words ``start`` up to (not including) ``end`` are ``digits`` digits, at least.

    ``spelled``: they were said one by one. ``at_edge``: no other word is before them, or none after. ``written``: how many
    digits the finders write for them, which is fewer for "six hundred and sixty one".
    """

    start: int
    end: int
    digits: int
    spelled: bool
    at_edge: tuple[bool, bool]
    written: int = 0


def digit_runs(bare: Sequence[str], findings: Sequence[Finding]) -> list[DigitRun]:
    """All numerals in a row, longest possible, in order. ``findings`` count the ``bare`` words."""
    counts = _counts(bare, findings)
    fewest = _fewest(counts, findings)
    runs: list[DigitRun] = []
    position = 0
    while position < len(bare):
        if counts[position] < 0:
            position += 1
            continue
        end = _end(position, bare, counts)
        if any(count > 0 for count in counts[position:end]):
            run = _run(position, end, bare, counts)
            runs.append(replace(run, written=sum(fewest[position:end])))
        position = end
    return runs


def _end(start: int, bare: Sequence[str], counts: Sequence[int]) -> int:
    """Behind the last numeral that only joints part from the one before it."""
    end = position = start + 1
    while position < len(bare):
        if counts[position] >= 0:
            end = position + 1
        elif bare[position] not in JOINTS and not _is_and(bare, position):
            break
        position += 1
    return end


def _is_and(bare: Sequence[str], position: int) -> bool:
    """Whether "and" joins digits: "two hundred and five", "four two and then seven one"."""
    if bare[position] != "and":
        return False
    return bare[position - 1] in _LARGE or bare[position + 1 : position + 2] == ["then"]


def _run(start: int, end: int, bare: Sequence[str], counts: Sequence[int]) -> DigitRun:
    inside = [(text, count) for text, count in zip(bare[start:end], counts[start:end], strict=True) if count >= 0]
    before = all(text in JOINTS for text in bare[:start]) if start < _EDGE_WORDS else False
    after = all(text in JOINTS for text in bare[end:]) if len(bare) - end < _EDGE_WORDS else False
    return DigitRun(
        start,
        end,
        digits=sum(count for _, count in inside),
        spelled=all(_is_grouped(text) or (count <= 1 and text not in _TENS) for text, count in inside),
        at_edge=(before, after),
    )


def _is_grouped(text: str) -> bool:
    """Digits, as for people to copy: ``4111``, ``#555-123-4567``, ``four-one-one``; not ``1,500`` or ``3.5``."""
    if text.count(".") > 1:
        text = text.replace(".", "")
    if text.endswith(_POSSESSIVES):
        text = text[:-2]
    return text.translate(_GROUPING).isdigit() or _SPELLED_PARTS.issuperset(text.split("-"))


def _fewest(counts: Sequence[int], findings: Sequence[Finding]) -> list[int]:
    """Digits that each word stands for by what the finders write, all of a finding's at its first word."""
    fewest = [max(count, 0) for count in counts]
    for finding in findings:
        if finding.label in PLAIN_LABELS and any(fewest[finding.start : finding.end]):
            written = sum(map(str.isdigit, finding.value))
            fewest[finding.start : finding.end] = [written] + [0] * (finding.end - finding.start - 1)
    return fewest


def _counts(bare: Sequence[str], findings: Sequence[Finding]) -> list[int]:
    """Digits that each word stands for; 0 inside a number that an earlier word counts for; -1: no numeral."""
    counts = [-1 if is_never_digit(bare, index) else _word_digits(text) for index, text in enumerate(bare)]
    for finding in findings:
        if finding.label not in PLAIN_LABELS:
            continue
        inside = counts[finding.start : finding.end]
        known = sum(max(count, 0) for count in inside)
        written = sum(map(str.isdigit, finding.value))
        if written > known and min(inside) < 0:  # "six" is French too: one word known does not mean that all are
            counts[finding.start : finding.end] = [max(count, 0) for count in inside]
            counts[finding.start] += written - known
    for index, text in enumerate(bare):
        if text in _TENS and index + 1 < len(bare) and counts[index + 1] == 1:
            counts[index] = 1  # "twenty five" has two digits
    for places, step in ((range(len(bare)), -1), (range(len(bare) - 1, -1, -1), 1)):
        for index in places:  # "oh oh seven": each of them is beside one
            if bare[index] in _PREFIXES and 0 <= index + step < len(bare) and counts[index + step] > 0:
                counts[index] = 1
    return counts


def _word_digits(text: str) -> int:
    written = sum(map(str.isnumeric, text))
    if written:
        return written
    known = _DIGITS.get(text)
    if known is not None or "-" not in text:
        return -1 if known is None else known
    spelled = text.split("-")
    parts = [1 if part in _PREFIXES else _DIGITS.get(part, -1) for part in spelled]
    if min(parts) < 0 or _PREFIXES.issuperset(spelled):
        return -1
    return sum(1 if part == 2 and following == 1 else part for part, following in pairwise([*parts, 0]))
