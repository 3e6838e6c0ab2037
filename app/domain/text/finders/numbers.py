"""Numbers in words and digits, each with its place: the ground on which the other finders build."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from text_to_num import find_numbers, text2num

from app.domain.text.finders.ordinary import DIGIT_WORDS, SCALES, is_ordinary

LANGUAGES = frozenset({"da", "de", "en", "es", "fr", "it", "nl", "pt"})
"""Whisper's codes of the languages that text2num 3.1 reads."""

ARTICLES = {
    "da": {"en", "et"},
    "de": {"ein", "eine", "einem", "einen", "einer", "eines"},
    "es": {"un", "una", "uno"},
    "fr": {"un", "une"},
    "it": {"un", "una", "uno"},
    "nl": {"een"},
    "pt": {"um", "uma"},
}
"""Words that are one and an article: alone they are left as they are."""

_ROUND = ((1_000_000_000_000, "trillion"), (1_000_000_000, "billion"), (1_000_000, "million"))
"""Scales that stay words in round numbers: nobody reads ``5000000``."""

_WRITTEN = re.compile(r"\d+(?:,\d{3})*(?:[.,]\d+)?")
_WRITTEN_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_GROUPED = re.compile(r"\+\d+|\+?\d+(?:[-.,]\d+)+")
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Number:
    """The words ``start`` up to ``end`` are a number.

    ``written`` is in digits (``25``, ``2.5``, ``28th``, ``1,234``, ``555-1234``); ``scale`` the word that multiplies it
    (``5 million``). ``spoken``: in words, not digits. ``vague``: a word that is an article too.
    """

    start: int
    end: int
    written: str
    ordinal: bool = False
    spoken: bool = True
    vague: bool = False
    scale: str = ""

    @property
    def digits(self) -> str:
        """Its digits alone."""
        return "".join(_DIGIT.findall(self.written))

    @property
    def shown(self) -> tuple[str, ...]:
        """How it is written, one item per displayed word."""
        return (self.written, self.scale) if self.scale else (self.written,)

    @property
    def is_whole(self) -> bool:
        """Whether it is a plain whole number, without separators."""
        return not self.ordinal and self.written.isdecimal() and not self.scale

    @property
    def value(self) -> int:
        """A whole or ordinal number's value; the digits read as one number for all others."""
        return int(self.digits)


class _Token:
    """One word as text2num asks for it."""

    __slots__ = ("_ordinary", "_pause", "_text")

    def __init__(self, text: str, pause: bool, ordinary: bool) -> None:
        self._text = text
        self._pause = pause
        self._ordinary = ordinary

    def text(self) -> str:
        return self._text

    def nt_separated(self, previous: _Token) -> bool:
        return self._pause

    def not_a_number_part(self) -> bool:
        return self._ordinary


def read_numbers(texts: Sequence[str], pauses: Sequence[bool], language: str) -> Iterator[Number]:
    """All numbers in bare lower-case words, in order. ``pauses`` says after which words punctuation stands."""
    spoken = _counted(list(_spoken(texts, pauses, language)), texts, pauses, language) if language in LANGUAGES else {}
    index = 0
    while index < len(texts):
        number = spoken.get(index) or _written(texts, index)
        if number is None:
            index += 1
            continue
        yield number
        index = number.end


def _counted(numbers: Sequence[Number], texts: Sequence[str], pauses: Sequence[bool], language: str) -> dict[int, Number]:
    """By their first word; an article right before a spoken digit is one too: "un deux trois"."""
    by_start = {number.start: number for number in numbers}
    articles = ARTICLES.get(language, set())
    for number in numbers:
        before = number.start - 1
        if before >= 0 and texts[before] in articles and len(number.written) == 1 and not pauses[before]:
            by_start[before] = Number(before, number.start, "1")
    return by_start


def read_spelled(text: str) -> str:
    """The English number that ``text`` spells (``twenty-five``) in digits; empty where it spells none."""
    try:
        return str(int(text2num(text, "en")))
    except ValueError:
        return ""


def _written(texts: Sequence[str], index: int) -> Number | None:
    text = texts[index]
    if not _DIGIT.search(text) or not text.isascii():
        return None
    if _WRITTEN.fullmatch(text):
        following = texts[index + 1] if index + 1 < len(texts) else ""
        if following in SCALES:
            return Number(index, index + 2, text, spoken=False, scale=following)
        return Number(index, index + 1, text, spoken=False)
    if _WRITTEN_ORDINAL.fullmatch(text):
        return Number(index, index + 1, text, ordinal=True, spoken=False)
    return Number(index, index + 1, text, spoken=False) if _GROUPED.fullmatch(text) else None


def _spoken(texts: Sequence[str], pauses: Sequence[bool], language: str) -> Iterator[Number]:
    tokens = [
        _Token(text, _is_apart(texts, pauses, index, language), language == "en" and is_ordinary(texts, index))
        for index, text in enumerate(texts)
    ]
    articles = ARTICLES.get(language, set())
    previous: Number | None = None
    for found in find_numbers(tokens, language, threshold=0.0):
        start, end, written = found.start, found.end, found.text
        if end - start == 1 and texts[start] in articles and not _beside(start, previous):
            previous = Number(start, end, written, vague=True)
            continue
        if end - start > 1 and len(written) == end - start and written.startswith("0") and written.isdecimal():
            # "zero zero seven": digits said one by one stay apart
            for offset, digit in enumerate(written):
                yield Number(start + offset, start + offset + 1, digit)
            continue
        number = Number(start, end, written, ordinal=found.is_ordinal)
        if language == "en" and found.is_ordinal and written.endswith("s"):
            # "two thirds": parts of a whole
            continue
        previous = _in_english(number, texts) if language == "en" else number
        yield previous


def _is_apart(texts: Sequence[str], pauses: Sequence[bool], index: int, language: str) -> bool:
    """Whether a number cannot go on with the word at ``index``.

    "Eight hundred five five five" and "one hundred two hundred" are several numbers; text2num begins with 805 and 102.
    """
    if index == 0 or pauses[index - 1]:
        return index > 0
    if language != "en" or texts[index] not in DIGIT_WORDS or texts[index - 1] != "hundred" or pauses[index]:
        return False
    following = texts[index + 1] if index + 1 < len(texts) else ""
    return following in DIGIT_WORDS or following == "hundred"


def _in_english(number: Number, texts: Sequence[str]) -> Number:
    """With what belongs to it and text2num leaves out: "a hundred", "two point five million"."""
    if texts[number.start] in SCALES:
        number = replace(number, start=number.start - 1)
    if "." in number.written and number.end < len(texts) and texts[number.end] in SCALES:
        return replace(number, end=number.end + 1, scale=texts[number.end])
    if not number.ordinal and "." not in number.written:
        for size, scale in _ROUND:
            if number.value >= size and number.value % (size // 10) == 0:
                return replace(number, written=f"{number.value / size:g}", scale=scale)
    return number


def _beside(start: int, previous: Number | None) -> bool:
    return previous is not None and previous.end == start and not previous.vague
