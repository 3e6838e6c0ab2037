"""``dictation``: spoken marks become marks (contract 2.7). English only, as at Deepgram.

Line breaks stay words of their own until everything else is done, so that no other formatter reads across them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from app.domain.text.edits import Edit
from app.domain.text.forms import bare_text
from app.domain.transcript import Word

_COMMANDS = MappingProxyType(
    {
        ("period",): ".",
        ("comma",): ",",
        ("colon",): ":",
        ("semicolon",): ";",
        ("semi-colon",): ";",
        ("question", "mark"): "?",
        ("exclamation", "mark"): "!",
        ("exclamation", "point"): "!",
        ("hyphen",): "-",
        ("dash",): "-",
        ("new", "line"): "\n",
        ("newline",): "\n",
        ("new", "paragraph"): "\n\n",
    }
)
_STARTS = frozenset(command[0] for command in _COMMANDS)
_NAMING = frozenset(
    {"a", "an", "the", "this", "that", "each", "every", "any", "no", "my", "your", "our", "their", "his", "her"}
)
"""Words after which a command is the name of a thing: "the period of time", "a new line of products"."""

_SENTENCE_ENDS = frozenset(".?!")
_MARKS = ".,;:?!"
BREAKS = frozenset({"\n", "\n\n"})


def dictation_edits(words: Sequence[Word], language: str) -> list[Edit]:
    """Marks join the word before them, and a word after ``. ? !`` gets its capital. A mark before any word stands alone."""
    if language != "en":
        return []
    bare = [bare_text(word) for word in words]
    if _STARTS.isdisjoint(bare):
        return []
    edits: list[Edit] = []
    owed_capital = False
    position = 0
    while position < len(words):
        spoken: list[Word] = []
        first = position
        if _command(bare, position) is None:
            spoken.append(_capital(words[position]) if owed_capital else words[position])
            owed_capital = False
            first += 1
        marks, end = _marks(bare, words, first)
        if marks or spoken[0] is not words[position]:
            edits.append(Edit(position, end, _marked(spoken, marks)))
        owed_capital = _ends_sentence(marks, owed_capital)
        position = end
    return edits


def break_edits(words: Sequence[Word]) -> list[Edit]:
    """Line breaks that were words until now go to the end of the word before them."""
    edits: list[Edit] = []
    for index, word in enumerate(words):
        if word.text not in BREAKS or not index:
            continue
        if edits and edits[-1].end == index:
            held = edits.pop()
            start, target = held.start, held.words[0]
        else:
            start, target = index - 1, words[index - 1]
        joined = replace(target, text=target.text + word.text, bare=bare_text(target), end_s=max(target.end_s, word.end_s))
        edits.append(Edit(start, index + 1, (joined,)))
    return edits


def _marks(bare: Sequence[str], words: Sequence[Word], position: int) -> tuple[list[Word], int]:
    """The marks said from ``position`` on, each with the time it took to say it, and where they end."""
    marks: list[Word] = []
    while (found := _command(bare, position)) is not None:
        mark, length = found
        last = words[position + length - 1]
        marks.append(replace(words[position], text=mark, bare=mark, end_s=last.end_s))
        position += length
    return marks, position


def _command(bare: Sequence[str], position: int) -> tuple[str, int] | None:
    if position >= len(bare) or bare[position] not in _STARTS or (position and bare[position - 1] in _NAMING):
        return None
    for length in (1, 2):
        mark = _COMMANDS.get(tuple(bare[position : position + length]))
        if mark is not None:
            return mark, length
    return None


def _marked(spoken: Sequence[Word], marks: Sequence[Word]) -> tuple[Word, ...]:
    """``spoken`` (one word, or none) with its marks. Those that follow a break, or nothing, stay words, as breaks do."""
    result = list(spoken)
    for mark in marks:
        if mark.text in BREAKS or not result or result[-1].bare in BREAKS:
            result.append(mark)
            continue
        last = result[-1]
        text = last.text.rstrip(_MARKS) or last.text
        result[-1] = replace(last, text=text + mark.text, bare=bare_text(last), end_s=mark.end_s)
    return tuple(result)


def _ends_sentence(marks: Sequence[Word], before: bool) -> bool:
    """Whether a capital is owed after ``marks``: breaks change nothing in that."""
    said = [mark.text for mark in marks if mark.text not in BREAKS]
    return said[-1] in _SENTENCE_ENDS if said else before


def _capital(word: Word) -> Word:
    text = word.text
    return word if text[:1] == text[:1].upper() else replace(word, text=text[:1].upper() + text[1:])
