"""The text of captions: words cut into pieces that may stand on different lines, measured in columns, broken evenly."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.domain.languages import NO_SPACE_LANGUAGES, word_space
from app.domain.text.forms import ends_sentence
from app.domain.transcript import Word

_CLAUSE_ENDS = (",", ";", ":", "\u2014", "\u3001", "\uff0c", "\uff1b", "\uff1a", "\u060c")
"""Comma, semicolon, colon and dash: Latin, full-width and Arabic."""

_LINE_COST = 64
"""What a line end between two words of a clause costs beside evenness: as much as two lines 16 columns apart."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that no line end divides, without white space, and its seconds: a share of its word's where that has several.

    ``space`` stands before it unless it begins a line. ``ends_line``: the speaker dictated a line end after it. ``width``:
    columns without the space, at least 1. Width and ends are kept because dividing asks for them some twenty times.
    """

    text: str
    start_s: float
    end_s: float
    speaker: int | None
    space: str
    width: int
    ends_line: bool
    ends_clause: bool
    ends_sentence: bool


def columns(text: str) -> int:
    """Width on a screen: East Asian characters take two columns, marks on other characters none."""
    return sum(_column(character) for character in text)


def pieces(words: Sequence[Word], language: str, line_length: int) -> list[Piece]:
    """All text of ``words``: one piece for each word, several where a formatter left spaces in it.

    What is wider than a line and written without spaces is cut by character; a long address, for one, is not.
    """
    found: list[Piece] = []
    for word in words:
        tokens = _tokens(word.text, word_space(word.language or language))
        cut = [part for token in tokens for part in _by_character(token, word.language or language, line_length)]
        total = sum(len(text) for _, text, _ in cut) or 1
        length_s = max(0.0, word.end_s - word.start_s)
        passed = 0
        for space, text, ends_line in cut:
            if not text:  # a dictated line end on its own, or after the word before
                if found and ends_line:
                    found[-1] = replace(found[-1], ends_line=True)
                continue
            start_s = word.start_s + length_s * passed / total
            passed += len(text)
            end_s = word.start_s + length_s * passed / total
            found.append(
                Piece(
                    text=text,
                    start_s=start_s,
                    end_s=end_s,
                    speaker=word.speaker,
                    space=space,
                    width=max(1, columns(text)),
                    ends_line=ends_line,
                    ends_clause=text.endswith(_CLAUSE_ENDS),
                    ends_sentence=ends_sentence(text),
                )
            )
    return found


def break_lines(cue: Sequence[Piece], line_length: int) -> tuple[str, ...]:
    """The pieces of one cue on as few lines as they need, of even width, rather ending with a clause than within one.

    A piece wider than ``line_length`` columns has a line of its own.
    """
    count = lines_needed(cue, line_length)
    # best[k][j]: least cost of the first j pieces on k lines, and where the last of these lines begins
    infinite = float("inf")
    best: list[list[tuple[float, int]]] = [[(infinite, 0)] * (len(cue) + 1) for _ in range(count + 1)]
    best[0][0] = (0.0, 0)
    for line in range(1, count + 1):
        for end in range(line, len(cue) + 1):
            width = 0
            for start in range(end - 1, line - 2, -1):
                width += cue[start].width + (len(cue[start + 1].space) if start + 1 < end else 0)
                if width > line_length and start < end - 1:
                    break
                cost = best[line - 1][start][0] + width * width
                if end < len(cue) and not (cue[end - 1].ends_clause or cue[end - 1].ends_sentence):
                    cost += _LINE_COST
                if cost < best[line][end][0]:
                    best[line][end] = (cost, start)
    broken: list[str] = []
    end = len(cue)
    for line in range(count, 0, -1):
        start = best[line][end][1]
        broken.append(_joined(cue[start:end]))
        end = start
    return tuple(reversed(broken))


def lines_needed(cue: Sequence[Piece], line_length: int) -> int:
    """Lines that the pieces fill when each takes as much as it can."""
    fill = LineFill(line_length)
    for piece in cue:
        fill.add(piece)
    return fill.lines


class LineFill:
    """Pieces laid on lines one after the other: how many lines they need."""

    def __init__(self, line_length: int) -> None:
        self.lines = 0
        self._line_length = line_length
        self._width = 0

    def add(self, piece: Piece) -> None:
        grown = self._width + len(piece.space) + piece.width
        if self.lines and grown <= self._line_length:
            self._width = grown
        else:
            self.lines += 1
            self._width = piece.width


def _joined(line: Sequence[Piece]) -> str:
    return line[0].text + "".join(piece.space + piece.text for piece in line[1:])


def _tokens(text: str, space: str) -> list[tuple[str, str, bool]]:
    """The parts of a word between white space, each with what stands before it and whether a line end follows.

    A part is empty only where a line end follows nothing.
    """
    found: list[tuple[str, str, bool]] = []
    lines = text.split("\n")
    for index, line in enumerate(lines):
        tokens = line.split()
        found += [(" " if found else space, token, False) for token in tokens]
        if index < len(lines) - 1:
            before, token, _ = found.pop() if tokens else (space, "", False)
            found.append((before, token, True))
    return found


def _by_character(token: tuple[str, str, bool], language: str, line_length: int) -> list[tuple[str, str, bool]]:
    space, text, ends_line = token
    if language not in NO_SPACE_LANGUAGES or columns(text) <= line_length:
        return [token]
    units: list[str] = []
    for character in text:
        if units and unicodedata.category(character) in _STAYS_BEHIND:
            units[-1] += character
        else:
            units.append(character)
    last = len(units) - 1
    return [(space if i == 0 else "", unit, ends_line and i == last) for i, unit in enumerate(units)]


_STAYS_BEHIND = frozenset({"Mn", "Mc", "Me", "Cf", "Po", "Pe", "Pf"})
"""Unicode's classes of what no line begins with: marks on the character before, and closing punctuation."""


def _column(character: str) -> int:
    if character.isascii():
        return 1
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
