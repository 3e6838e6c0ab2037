"""Runs of numbers said one after the other: telephone numbers, card numbers, years, codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.domain.text.finders.numbers import Number

_ZEROS = frozenset({"oh", "o"})
_TIMES = {"double": 2, "triple": 3, "treble": 3}
_CENTURIES = frozenset({"16", "17", "18", "19", "20"})
_DICTATED = 3
"""Pieces from which on a run is taken for dictated digits."""

_LINKS = frozenset({"", "dash", "hyphen"})
"""What may stand between the digits of a run: a lone mark, or a mark that is said."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Digits said in one breath at the words ``start`` up to ``end``."""

    start: int
    end: int
    digits: str
    number: Number | None = None

    @property
    def written(self) -> tuple[str, ...]:
        """One item per displayed word: a number as it is written, said digits one by one."""
        return tuple(self.digits) if self.number is None else (self.number.written,)


@dataclass(frozen=True, slots=True)
class Run:
    """Pieces that follow one another; never empty."""

    pieces: tuple[Piece, ...]

    @property
    def start(self) -> int:
        """Position of the first word."""
        return self.pieces[0].start

    @property
    def end(self) -> int:
        """Position after the last word."""
        return self.pieces[-1].end

    @property
    def digits(self) -> str:
        """All digits, joined."""
        return "".join(piece.digits for piece in self.pieces)

    @property
    def groups(self) -> tuple[str, ...]:
        """The pieces as they were written, "020 7946 0958"; empty where any was spoken, or there is only one bare one."""
        numbers = [piece.number for piece in self.pieces]
        written = tuple(number.written for number in numbers if number is not None and not number.spoken)
        return written if len(written) == len(numbers) and max(map(len, written)) > 1 else ()

    def phrases(self, pauses: Sequence[bool]) -> tuple[Run, ...]:
        """Its parts between punctuation; none where it has no punctuation inside."""
        parts: list[Run] = []
        first = 0
        for index, piece in enumerate(self.pieces):
            if pauses[piece.end - 1] or index + 1 == len(self.pieces):
                parts.append(Run(self.pieces[first : index + 1]))
                first = index + 1
        return tuple(parts) if len(parts) > 1 else ()

    @property
    def is_count(self) -> bool:
        """Whether somebody counts: "one two three four", "ten nine eight seven"."""
        values = [int(piece.digits) for piece in self.pieces]
        steps = {later - earlier for earlier, later in pairwise(values)}
        return len(values) > 3 and steps in ({1}, {-1})

    @property
    def year(self) -> str:
        """The year that is said in two halves ("nineteen ninety nine", "twenty oh five"); empty where the run is none."""
        century, *rest = self.pieces
        if not rest or century.number is None or not century.number.spoken or century.digits not in _CENTURIES:
            return ""
        years = "".join(piece.digits for piece in rest)
        halves = (len(rest) == 1 and len(years) == 2) or (len(rest) == 2 and years[0] == "0" and rest[0].number is None)
        return century.digits + years if halves and len(years) == 2 else ""


def gather_runs(texts: Sequence[str], closes: Sequence[bool], numbers: Mapping[int, Number], language: str) -> list[Run]:
    """Whole numbers that touch, with English "oh", "double five" and said dashes; a sentence end divides them.

    Decimal and ordinal numbers belong to no run.
    """
    runs: list[Run] = []
    reached = 0
    for start in sorted(numbers):
        if start < reached:
            continue
        first = _with_prefix(texts, closes, start, reached) if language == "en" else start
        pieces = _without_sighs(_pieces(texts, closes, numbers, first, language), texts)
        if pieces:
            runs.append(Run(tuple(pieces)))
            reached = pieces[-1].end
    return runs


def _with_prefix(texts: Sequence[str], closes: Sequence[bool], start: int, reached: int) -> int:
    while start > reached and (texts[start - 1] in _ZEROS or texts[start - 1] in _TIMES) and not closes[start - 1]:
        start -= 1
    return start


def _without_sighs(pieces: list[Piece], texts: Sequence[str]) -> list[Piece]:
    """Without "oh" at the ends of what is too short to be dictated: "oh five of them", "I have two oh no"."""
    while len(pieces) < _DICTATED and pieces and pieces[-1].number is None and texts[pieces[-1].start] in _ZEROS:
        pieces = pieces[:-1]
    while len(pieces) < _DICTATED and pieces and pieces[0].number is None and texts[pieces[0].start] in _ZEROS:
        pieces = pieces[1:]
    return pieces


def _pieces(
    texts: Sequence[str], closes: Sequence[bool], numbers: Mapping[int, Number], start: int, language: str
) -> list[Piece]:
    pieces: list[Piece] = []
    index = start
    while index < len(texts):
        piece = _piece(texts, numbers, index, language)
        if piece is None:
            if pieces and texts[index] in _LINKS and not closes[index - 1]:
                index += 1
                continue
            break
        if pieces and any(closes[pieces[-1].end - 1 : piece.start]):
            break
        pieces.append(piece)
        index = piece.end
    return pieces


def _piece(texts: Sequence[str], numbers: Mapping[int, Number], index: int, language: str) -> Piece | None:
    number = numbers.get(index)
    if number is not None:
        if number.ordinal or number.scale or number.vague or not _is_digits(number.written):
            return None
        return Piece(index, number.end, number.digits, number)
    if language != "en":
        return None
    if texts[index] in _ZEROS:
        return Piece(index, index + 1, "0")
    times = _TIMES.get(texts[index])
    following = numbers.get(index + 1)
    if times is None:
        return None
    if following is not None and len(following.digits) == 1 and not following.ordinal:
        return Piece(index, following.end, following.digits * times)
    if index + 1 < len(texts) and texts[index + 1] in _ZEROS:
        return Piece(index, index + 2, "0" * times)
    return None


def _is_digits(written: str) -> bool:
    """``25``, ``555-1234``, ``555.123.4567`` and ``5,5,5``, but neither ``2.5`` nor ``1,234``."""
    if written.lstrip("+").isdecimal():
        return True
    if "-" in written:
        return True
    parts = written.lstrip("+").replace(",", ".").split(".")
    return len(parts) > 2 and not (len(parts[0]) <= 3 and all(len(part) == 3 for part in parts[1:]) and "," in written)
