"""Words replaced by other words, with times, speakers and the way back kept: what every formatter is made of."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from app.domain.text.forms import bare_form
from app.domain.transcript import Word

_OPENING = "\"'\u201c\u2018\u00ab([\u00bf\u00a1"
"""Quotes, brackets and Spanish marks that may precede a word."""

_CLOSING = ".,;:?!\u3002\uff1f\uff01\u2026\"'\u201d\u2019\u00bb)]"
"""What may follow a word without belonging to it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """The words ``start`` up to (not including) ``end`` become ``words``; none: they are deleted."""

    start: int
    end: int
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Edited:
    """Words after edits. ``origins`` gives for each the half-open range of the words it came from."""

    words: tuple[Word, ...]
    origins: tuple[tuple[int, int], ...]

    @classmethod
    def untouched(cls, words: Sequence[Word]) -> Edited:
        """Before any edit."""
        return cls(tuple(words), tuple((index, index + 1) for index in range(len(words))))

    def apply(self, edits: Iterable[Edit]) -> Edited:
        """Apply edits that count the present words. Of two that overlap the one given first wins."""
        taken: list[Edit] = []
        occupied = bytearray(len(self.words))
        for edit in edits:
            if not any(occupied[edit.start : edit.end]):
                occupied[edit.start : edit.end] = b"\x01" * (edit.end - edit.start)
                taken.append(edit)
        if not taken:
            return self
        words: list[Word] = []
        origins: list[tuple[int, int]] = []
        position = 0
        for edit in sorted(taken, key=lambda edit: edit.start):
            words += self.words[position : edit.start]
            origins += self.origins[position : edit.start]
            words += edit.words
            origins += [(self.origins[edit.start][0], self.origins[edit.end - 1][1])] * len(edit.words)
            position = edit.end
        words += self.words[position:]
        origins += self.origins[position:]
        return Edited(tuple(words), tuple(origins))

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Where original words went: the half-open range of present words that came from any of them. None: nowhere."""
        first = bisect_right(self.origins, start, key=lambda origin: origin[1])
        last = bisect_left(self.origins, end, key=lambda origin: origin[0])
        return (first, last) if first < last else None


def merged(words: Sequence[Word], text: str, bare: str | None = None) -> Word:
    """One word in place of several: the span of all, their mean confidence, the speaker of the first.

    Punctuation around the words stays around ``text``, which brings none; ``bare`` is ``text`` unless given.
    """
    before, after = edges(words)
    return replace(
        words[0],
        text=before + _closed(text, after),
        bare=text if bare is None else bare,
        end_s=words[-1].end_s,
        confidence=sum(word.confidence for word in words) / len(words),
    )


def spread(words: Sequence[Word], texts: Sequence[str]) -> tuple[Word, ...]:
    """``texts`` in place of ``words``, their span divided evenly; punctuation around the words stays at the ends."""
    if not texts:
        return ()
    if len(texts) == len(words):
        spans = [(word.start_s, word.end_s) for word in words]
    else:
        start_s, end_s = words[0].start_s, words[-1].end_s
        step_s = (end_s - start_s) / len(texts)
        spans = list(pairwise([*(start_s + index * step_s for index in range(len(texts))), end_s]))
    before, after = edges(words)
    mean = sum(word.confidence for word in words) / len(words)
    last = len(texts) - 1
    return tuple(
        replace(
            words[0],
            text=(before if index == 0 else "") + (_closed(text, after) if index == last else text),
            bare=text.rstrip(",") or text,
            start_s=start_s,
            end_s=end_s,
            confidence=mean,
        )
        for index, (text, (start_s, end_s)) in enumerate(zip(texts, spans, strict=True))
    )


def _closed(text: str, after: str) -> str:
    """``text`` with the punctuation after it; of two full stops one stays ("1." and "etc." bring their own)."""
    return text + (after[1:] if text.endswith(".") and after.startswith(".") else after)


def edges(words: Sequence[Word]) -> tuple[str, str]:
    """The punctuation before the first word and after the last one, which stays when the words between are replaced."""
    first, last = words[0].text, words[-1].text
    before = first[: len(first) - len(first.lstrip(_OPENING))] if bare_form(first) else ""
    after = last[len(last.rstrip(_CLOSING)) :]
    return before, after
