"""``redact``: findings become ``[TYPE_1]``, runs of digits ``[REDACTED]`` (contract 2.7).

A redacted word keeps its time and the sentence's punctuation, nothing else. Where a stretch cannot be told from the
beginning of something longer, as at the edge of a live result, it is redacted rather than shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.domain.text.dictated import DictatedNumbers
from app.domain.text.digits import JOINTS, PLAIN_LABELS, DigitRun, digit_runs
from app.domain.text.edits import Edit
from app.domain.text.finding import Finding
from app.domain.text.forms import bare_form, is_half_of_day
from app.domain.text.redaction_rules import AGGRESSIVE_NUMBERS, NUMBERS, types_of
from app.domain.transcript import Word

REDACTED = "[REDACTED]"

MIN_DIGITS = 3
"""Consecutive numerals from which ``numbers`` redacts them (contract 2.7)."""

_SPELLED = frozenset({"email_address", "url", "username"})
_SPELLING = frozenset({"dot", "at", "underscore", "dash", "hyphen", "slash"})

_OPENING = "\"'\u201c\u2018\u00ab\u00bf\u00a1"
_CLOSING = ".,;:?!\u3002\uff1f\uff01\u2026\"'\u201d\u2019\u00bb"


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    token: str


class Redactor:
    """The rules of one request or stream. It remembers what it numbered, so all channels and results share it.

    ``rules`` are names of ``redaction_rules.KNOWN``. ``live``: words come in pieces, and a piece may end inside a number.
    """

    def __init__(self, rules: Iterable[str], *, live: bool = False) -> None:
        rules = frozenset(rules)
        types = types_of(rules)
        self._labels = frozenset(name.upper() for name in types)
        self._all_digits = AGGRESSIVE_NUMBERS in rules
        self._long_runs = self._all_digits or NUMBERS in rules
        self._dictated = DictatedNumbers(types)
        self._cut_runs = live and bool(self._dictated)
        self._cut_spellings = live and bool(types & _SPELLED)
        self._live = live
        self._unfinished: dict[int, int] = {}
        """Digits at the end of what was said in a channel: of a number that may go on in the next piece."""
        self._numbers: dict[tuple[str, str], int] = {}
        self._last: dict[str, int] = {}

    def edits(
        self,
        words: Sequence[Word],
        findings: Sequence[Finding],
        *,
        interim: bool = False,
        channel_index: int = 0,
        before: Sequence[Word] = (),
    ) -> list[Edit]:
        """One edit for each redacted stretch, in order and apart from each other; ``findings`` count ``words``.

        ``before``: what was said before them, which may announce what they begin with.

        An ``interim`` numbers nothing, and hides an unfinished number or address at its end whatever its length. Live words
        that are none go on where the last ones of their channel ended: people pause between the groups of a long number.
        """
        spans = [
            _Span(finding.start, finding.end, REDACTED if interim else self._token(finding))
            for finding in findings
            if finding.label in self._labels or (self._all_digits and _has_digits_among_others(finding))
        ]
        covered = bytearray(len(words))
        for span in spans:
            covered[span.start : span.end] = b"\x01" * (span.end - span.start)
        for start, end in self._plain(words, findings, channel_index, before, interim=interim):
            spans += _uncovered(covered, start, end)
            covered[start:end] = b"\x01" * (end - start)
        spans.sort(key=lambda span: span.start)
        return [Edit(span.start, span.end, (_redacted(_apart(words, span), span.token),)) for span in spans]

    def _token(self, finding: Finding) -> str:
        if finding.label not in self._labels:
            return REDACTED
        key = finding.label, "".join(filter(str.isalnum, finding.value.casefold()))
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._last[finding.label] = self._last.get(finding.label, 0) + 1
        return f"[{finding.label}_{number}]"

    def _plain(
        self,
        words: Sequence[Word],
        findings: Sequence[Finding],
        channel_index: int,
        before: Sequence[Word],
        *,
        interim: bool,
    ) -> Iterator[tuple[int, int]]:
        if self._long_runs or self._dictated:
            bare = [bare_form(word.text) for word in words]
            runs = digit_runs(bare, findings)
            digits = self._unfinished.get(channel_index, 0)
            for run in runs:
                if self._hides(_continued(run, digits), interim=interim):
                    yield run.start, run.end
            for run in self._dictated.hidden(bare, runs, findings, [bare_form(word.text) for word in before]):
                yield run.start, run.end
            if self._live and not interim:
                self._unfinished[channel_index] = self._after(words, runs, digits)
        if self._cut_spellings:
            yield from _cut_spellings(words, interim=interim)

    def _after(self, words: Sequence[Word], runs: Sequence[DigitRun], before: int) -> int:
        """Digits that may go on after the words. Amounts are no parts of numbers that are dictated digit by digit."""
        if runs and runs[-1].at_edge[1]:
            return _continued(runs[-1], before).digits if runs[-1].spelled or self._long_runs else 0
        return before if all(bare_form(word.text) in JOINTS for word in words) else 0

    def _hides(self, run: DigitRun, *, interim: bool) -> bool:
        if self._all_digits or (self._long_runs and run.digits >= MIN_DIGITS):
            return True
        if interim and run.at_edge[1]:
            return True
        return self._cut_runs and run.spelled and run.digits >= MIN_DIGITS and any(run.at_edge)


def _continued(run: DigitRun, before: int) -> DigitRun:
    """The run together with the digits said before the words, if nothing parts it from them."""
    return replace(run, digits=run.digits + before) if run.at_edge[0] else run


def _has_digits_among_others(finding: Finding) -> bool:
    return finding.label not in PLAIN_LABELS and any(map(str.isdigit, finding.value))


def _uncovered(covered: bytearray, start: int, end: int) -> Iterator[_Span]:
    """What of a stretch is in no finding that is redacted already."""
    position = start
    while position < end:
        if covered[position]:
            position += 1
            continue
        stop = position
        while stop < end and not covered[stop]:
            stop += 1
        yield _Span(position, stop, REDACTED)
        position = stop


def _cut_spellings(words: Sequence[Word], *, interim: bool) -> Iterator[tuple[int, int]]:
    """The end, or the beginning, of an address that goes on beyond the words: ``john dot smith at``."""
    if not words:
        return
    bare = [word.text.strip(_OPENING + _CLOSING).lower() for word in words]
    joins = [index for index, text in enumerate(bare) if text in _SPELLING]
    if joins and (bare[-1] in _SPELLING or (interim and joins[-1] == len(words) - 2)):
        start = joins[-1]
        while start >= 2 and bare[start - 2] in _SPELLING:
            start -= 2
        yield max(start - 1, 0), len(words)
    if bare[0] in {"dot", "at"} and "dot" in bare[:4]:
        last = max(index for index, text in enumerate(bare[:4]) if text == "dot")
        yield 0, min(last + 2, len(words))


def _apart(words: Sequence[Word], span: _Span) -> Sequence[Word]:
    """The words of ``span``; without the full stop of "8 p.m." where no sentence ends."""
    inside = words[span.start : span.end]
    following = words[span.end : span.end + 1]
    if is_half_of_day(inside[-1]) and following and not following[0].text[:1].isupper():
        return [*inside[:-1], replace(inside[-1], text=inside[-1].text.rstrip("."))]
    return inside


def _redacted(words: Sequence[Word], token: str) -> Word:
    first, last = words[0].text, words[-1].text
    before = first[: len(first) - len(first.lstrip(_OPENING))]
    after = last[len(last.rstrip(_CLOSING)) :] if before != last else ""
    return replace(
        words[0],
        text=before + token + after,
        bare=token,
        end_s=words[-1].end_s,
        confidence=sum(word.confidence for word in words) / len(words),
    )
