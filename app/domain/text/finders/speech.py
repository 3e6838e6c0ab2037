"""Words prepared for the finders: bare texts, where each occurs, where a breath is taken, and the numbers among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from app.domain.text.finders.numbers import Number, read_numbers
from app.domain.text.finders.runs import Piece, Run, gather_runs
from app.domain.text.forms import bare_text, ends_sentence
from app.domain.transcript import Word

_ABBREVIATED = re.compile(
    r"[a-z](?:\.[a-z])*|st|ave|rd|blvd|dr|ln|ct|mr|mrs|ms|jr|sr|no|ext|apt|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)
"""Words whose full stop does not close a sentence."""

_COMMA_LIKE = (",", ";", ":")

CONTEXT_WORDS = 12
"""How far back a keyword may stand from the digits it explains: a question and the answer to it."""


class Speech:
    """A sequence of words, looked at in the ways that finders need. All positions count words.

    ``texts`` are bare, in lower case, and empty for a word of punctuation only.
    """

    def __init__(self, words: Sequence[Word], language: str) -> None:
        self.words = words
        self.language = language
        self.texts = [bare_text(word).lower() for word in words]
        self.positions: dict[str, list[int]] = {}
        for index, text in enumerate(self.texts):
            self.positions.setdefault(text, []).append(index)
        self._closes = [_closes(word.text, text) for word, text in zip(words, self.texts, strict=True)]

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def numbers(self) -> dict[int, Number]:
        """All numbers, spoken and written, by the position of their first word; none overlaps another."""
        return {number.start: number for number in read_numbers(self.texts, self.pauses, self.language)}

    @cached_property
    def number_ends(self) -> dict[int, Number]:
        """The same by the position after their last word."""
        return {number.end: number for number in self.numbers.values()}

    @cached_property
    def runs(self) -> list[Run]:
        """Numbers that follow one another, in order, at least one in each."""
        return gather_runs(self.texts, self.closes, self.numbers, self.language)

    @cached_property
    def run_starts(self) -> dict[int, Run]:
        """The runs by the position of their first word."""
        return {run.start: run for run in self.runs}

    @cached_property
    def pieces(self) -> dict[int, Piece]:
        """The pieces of all runs by the position of their first word."""
        return {piece.start: piece for run in self.runs for piece in run.pieces}

    @cached_property
    def piece_ends(self) -> dict[int, Piece]:
        """The same by the position after their last word."""
        return {piece.end: piece for piece in self.pieces.values()}

    @cached_property
    def pauses(self) -> list[bool]:
        """Whether any punctuation follows the word."""
        return [word.text.endswith(_COMMA_LIKE) or closes for word, closes in zip(self.words, self._closes, strict=True)]

    @property
    def closes(self) -> list[bool]:
        """Whether the word ends a sentence."""
        return self._closes

    def text(self, index: int) -> str:
        """The bare text at ``index``, empty outside the words."""
        return self.texts[index] if 0 <= index < len(self.texts) else ""

    def shown(self, index: int) -> str:
        """The text at ``index`` in its own casing, without the sentence's punctuation."""
        displayed, bare = self.words[index].text, self.texts[index]
        start = displayed.lower().find(bare)
        return displayed[start : start + len(bare)] if start >= 0 else bare

    def number(self, index: int) -> Number | None:
        """The number that begins at ``index``."""
        return self.numbers.get(index)

    def follows(self, index: int, *texts: str) -> bool:
        """Whether exactly these texts stand from ``index`` on, with no sentence end between them."""
        end = index + len(texts)
        return self.texts[index:end] == list(texts) and not any(self._closes[index : end - 1])

    def places(self, texts: Iterable[str]) -> Iterator[int]:
        """Where any of these texts occurs; ordered within one text only."""
        for text in texts:
            yield from self.positions.get(text, ())

    def before(self, index: int, count: int = CONTEXT_WORDS) -> str:
        """The ``count`` texts before ``index``, joined by spaces."""
        return " ".join(self.texts[max(0, index - count) : index])

    def joined(self, start: int, end: int) -> bool:
        """Whether no sentence ends inside the words ``start`` up to ``end``."""
        return not any(self._closes[start : end - 1])


def _closes(displayed: str, text: str) -> bool:
    if not ends_sentence(displayed):
        return False
    return not (displayed.endswith(".") and _ABBREVIATED.fullmatch(text))
