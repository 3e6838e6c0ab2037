"""Tokens of one segment -> words: pure, no engine needed.

Whisper's vocabulary is made of byte strings. A leading space starts a word, one character may be spread over several tokens,
and punctuation, sound descriptions and music notes come as text like any other.
"""

from __future__ import annotations

import codecs
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from app.domain.languages import NO_SPACE_LANGUAGES, word_space
from app.domain.transcript import Segment, TokenScore, Word
from app.engines.word_times import Measured, place_words

_ARTEFACTS = re.compile(
    r"[\[【][^\[\]【】]{0,80}(?:[\]】]|$)"  # [BLANK_AUDIO], [Music], also when the closing bracket never came
    r"|[(（][^()（）\d]{1,80}[)）]"  # noqa: RUF001  # (coughing), but not (202)
    r"|\*[^*\d]{1,80}\*"  # *laughs*
    r"|[♩♪♫♬♭♮♯🎵🎶🎼]"
)
_OPENING = frozenset("([{<«‹“‘\"'¿¡「『（【〈《„‚")  # noqa: RUF001
_KEPT_SYMBOLS = frozenset("&%@#§+=×÷°")  # noqa: RUF001
_WORD_CATEGORIES = frozenset({"Sc", "So", "Mn", "Mc"})  # currencies, emoji, vowel signs
_DROPPED_CATEGORIES = frozenset({"Pd", "Sk", "Sm"})  # dashes, modifiers, arrows
_MIN_PROBABILITY = 1e-6
_FIRST_UNSPACED = 0x0E00  # Thai; everything written without spaces lies at or above it, Latin and Cyrillic below


@dataclass(frozen=True, slots=True)
class Token:
    """One token as the engine reports it; ``plog`` is the logarithm of ``p``, times are in centiseconds (-1: unknown)."""

    id: int
    text: bytes
    p: float
    plog: float
    t0_cs: int
    t1_cs: int


@dataclass(frozen=True, slots=True)
class TokenSegment:
    """What the engine returned between two of its timestamps; times in centiseconds and possibly nonsense."""

    t0_cs: int
    t1_cs: int
    tokens: tuple[Token, ...]


@dataclass(slots=True)
class _Group:
    """Characters that will be one word. ``sources`` are positions of the tokens its letters came from."""

    text: str = ""
    sources: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Char:
    """One character and the positions of the first and last token that hold its bytes."""

    text: str
    first: int
    last: int


def join_words(words: Iterable[Word], language: str) -> str:
    """The text of ``words``: separated by single spaces, or not at all in a language written without them."""
    return word_space(language).join(word.text for word in words)


def build_segments(
    raw: Sequence[TokenSegment], language: str, end_of_text: int, duration_s: float, *, scores: bool = False
) -> tuple[Segment, ...]:
    """Segments with words, times in seconds from the window's start, none beyond ``duration_s``.

    ``end_of_text`` is the id of the first special token; it and all above are dropped. Segments without a word are dropped.
    ``scores``: tell those of the tokens.
    """
    segments: list[Segment] = []
    floor_s = 0.0
    for item in raw:
        start_s = min(max(item.t0_cs / 100, floor_s), duration_s)
        end_s = min(max(item.t1_cs / 100, start_s), duration_s)
        tokens = [token for token in item.tokens if token.id < end_of_text and token.text]
        words = build_words(tokens, language, start_s, end_s)
        if not words:
            continue
        segments.append(
            Segment(
                text=join_words(words, language),
                start_s=words[0].start_s,
                end_s=words[-1].end_s,
                words=words,
                tokens=tuple(token.id for token in tokens),
                avg_logprob=sum(token.plog for token in tokens) / len(tokens),
                scores=tuple(TokenScore(token.text, token.plog) for token in tokens) if scores else (),
            )
        )
        floor_s = words[-1].end_s
    return tuple(segments)


def build_words(tokens: Sequence[Token], language: str, start_s: float, end_s: float) -> tuple[Word, ...]:
    """Words of one segment, in order, with monotone times inside ``start_s``..``end_s``.

    ``tokens`` are text tokens only. A word's confidence is the geometric mean of the probabilities of the tokens that hold
    its letters: how sure the model is of a comma says nothing about the word before it.
    """
    chars = _without_artefacts(_characters(tokens))
    groups = _attach_punctuation(_split(chars, language in NO_SPACE_LANGUAGES))
    spoken = [_spoken(group, tokens) for group in groups]
    spans = place_words([_measured(group, sources) for group, sources in zip(groups, spoken, strict=True)], start_s, end_s)
    return tuple(
        Word(group.text, span.start_s, span.end_s, _confidence([token.p for token in sources]))
        for group, sources, span in zip(groups, spoken, spans, strict=True)
    )


def _spoken(group: _Group, tokens: Sequence[Token]) -> list[Token]:
    """The tokens that hold letters or digits of the group; all of its tokens if none does."""
    sources = [tokens[index] for index in group.sources]
    return [token for token in sources if _has_letters(token.text)] or sources


def _measured(group: _Group, sources: Sequence[Token]) -> Measured:
    first, last = sources[0], sources[-1]
    known = 0 <= first.t0_cs <= last.t1_cs
    return Measured(len(group.text), (first.t0_cs / 100, last.t1_cs / 100) if known else None)


def _characters(tokens: Sequence[Token]) -> list[_Char]:
    """Decode the tokens' bytes together; bytes that are no UTF-8 are left out."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
    chars: list[_Char] = []
    first = 0
    for index, token in enumerate(tokens):
        if not decoder.getstate()[0]:
            first = index
        for char in decoder.decode(token.text):
            chars.append(_Char(char, first, index))
            first = index
    return chars


def _without_artefacts(chars: list[_Char]) -> list[_Char]:
    text = "".join(char.text for char in chars)
    dropped = {index for match in _ARTEFACTS.finditer(text) for index in range(*match.span())}
    return [char for index, char in enumerate(chars) if index not in dropped] if dropped else chars


def _split(chars: list[_Char], unspaced: bool) -> list[_Group]:
    """Characters between spaces; in unspaced languages, the characters of one token, or a run of Latin letters or digits."""
    groups: list[_Group] = []
    previous: _Char | None = None
    for char in chars:
        if char.text.isspace():
            previous = None
            continue
        if previous is None or (unspaced and _starts_group(previous, char)):
            groups.append(_Group())
        group = groups[-1]
        group.text += char.text
        group.sources.extend(range(max(char.first, group.sources[-1] + 1 if group.sources else 0), char.last + 1))
        previous = char
    return groups


def _starts_group(previous: _Char, char: _Char) -> bool:
    if char.first <= previous.last or unicodedata.category(char.text).startswith("M"):
        return False
    return not (ord(previous.text) < _FIRST_UNSPACED and ord(char.text) < _FIRST_UNSPACED)


def _attach_punctuation(groups: list[_Group]) -> list[_Group]:
    """Closing punctuation goes to the word before, opening to the word after; lone dashes and the like are dropped."""
    words: list[_Group] = []
    opening = ""
    for group in groups:
        if _is_word(group.text):
            group.text = opening + group.text
            opening = ""
            words.append(group)
        elif all(char in _OPENING for char in group.text):
            opening += group.text
        elif words and not any(unicodedata.category(char) in _DROPPED_CATEGORIES or char in "*_/\\" for char in group.text):
            words[-1].text += group.text
    return words


def _is_word(text: str) -> bool:
    return any(char.isalnum() or char in _KEPT_SYMBOLS or unicodedata.category(char) in _WORD_CATEGORIES for char in text)


def _has_letters(text: bytes) -> bool:
    """True for any byte of a letter, digit or non-ASCII character."""
    return any(byte >= 0x80 or chr(byte).isalnum() for byte in text)


def _confidence(probabilities: Sequence[float]) -> float:
    logs = [math.log(min(1.0, max(p, _MIN_PROBABILITY))) for p in probabilities]
    return math.exp(sum(logs) / len(logs))
