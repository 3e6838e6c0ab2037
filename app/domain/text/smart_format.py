"""``smart_format``: what was found is written as it is usually written (contract 2.2, 2.7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.domain.text.edits import Edit, merged, spread
from app.domain.text.finding import Finding
from app.domain.text.forms import bare_form, bare_text, is_half_of_day
from app.domain.transcript import Word

_SMALL = frozenset({"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"})
_SMALL_ORDINALS = frozenset({"1st", "2nd", "3rd", "4th", "5th", "6th", "7th", "8th", "9th"})
_PLAIN = frozenset({"NUMBER", "ORDINAL"})


def smart_edits(findings: Iterable[Finding], words: Sequence[Word]) -> list[Edit]:
    """One edit for each finding whose written form differs from its words. ``findings`` count ``words``.

    A lone "two" or "third" stays a word: it is rarely a quantity; but not in "five to 10 minutes". Punctuation around a
    finding stays; of that inside only what its written form has.
    """
    edits = []
    ordered = sorted(findings, key=lambda finding: finding.start)
    for index, finding in enumerate(ordered):
        spoken = words[finding.start : finding.end]
        beside = (*ordered[max(0, index - 1) : index], *ordered[index + 1 : index + 2])
        if _stays(finding, spoken) and not any(_is_range(finding, other, words) for other in beside):
            continue
        texts = tuple(_cased(text, word) for text, word in zip(finding.written, spoken, strict=False))
        texts += finding.written[len(spoken) :]
        edits.append(
            Edit(finding.start, finding.end, _written(finding, texts, spoken, words[finding.end : finding.end + 1]))
        )
    return edits


def _stays(finding: Finding, spoken: Sequence[Word]) -> bool:
    if finding.label in _PLAIN and len(spoken) == 1 and finding.written[0] in _SMALL | _SMALL_ORDINALS:
        return True
    if finding.label == "NUMBER" and bare_text(spoken[0]) == "a":
        return True
    shown = " ".join(word.text for word in spoken)
    if finding.value in (shown, shown.rstrip(".,;:?!")):
        return True
    return [bare_text(word) for word in spoken] == list(finding.written)


def _is_range(small: Finding, other: Finding, words: Sequence[Word]) -> bool:
    """Whether a lone small number is one end of a range, of which the other end is written in digits."""
    if small.label != "NUMBER" or small.end - small.start > 1 or not small.written[0].isdecimal():
        return False
    if not other.written[0][:1].isdecimal() or _stays(other, words[other.start : other.end]):
        return False
    first, second = (small, other) if small.start < other.start else (other, small)
    between = [bare_text(word) for word in words[first.end : second.start]]
    if between == ["and"]:
        return first.start > 0 and bare_text(words[first.start - 1]) == "between"
    return between in (["to"], ["or"], ["through"])


def _written(finding: Finding, texts: Sequence[str], spoken: Sequence[Word], following: Sequence[Word]) -> tuple[Word, ...]:
    if finding.label in _PLAIN and len(texts) == len(spoken):
        # "five, five, two": the commas between digits are the speaker's
        return tuple(merged([word], text) for word, text in zip(spoken, texts, strict=True))
    if finding.label == "TIME" and is_half_of_day(spoken[-1]) and following and not following[0].text[:1].isupper():
        # "at 8:37 p.m. tomorrow": a full stop of the abbreviation, not of the sentence
        spoken = [*spoken[:-1], replace(spoken[-1], text=spoken[-1].text.rstrip("."))]
    if texts[0].startswith("("):
        spoken = [replace(spoken[0], text=spoken[0].text.lstrip("(")), *spoken[1:]]
    written = (merged(spoken, texts[0]),) if len(texts) == 1 else spread(spoken, texts)
    # a word without digits or marks is a word like all others, in lower case where it is bare
    return tuple(replace(word, bare=None) if bare_form(word.text).isalpha() else word for word in written)


def _cased(text: str, word: Word) -> str:
    """A word that stays keeps the casing it was displayed in."""
    bare = bare_form(word.text)
    if text != bare:
        return text
    start = word.text.lower().find(bare)
    return word.text[start : start + len(bare)] if start >= 0 else text
