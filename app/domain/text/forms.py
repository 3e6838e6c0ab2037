"""The two forms of a word: as it is displayed, and bare (contract 2.6, rules 1 and 2)."""

from __future__ import annotations

import unicodedata

from app.domain.transcript import Word

_KEPT_AT_EDGES = frozenset("%#&@°*")
"""Punctuation by Unicode's classes that carries meaning in a word: ``50%``, ``#1``, ``R&B``, ``@home``, a masked word."""

_SENTENCE_ENDS = (".", "?", "!", "\u3002", "\uff1f", "\uff01", "\u061f", "\u0964")
"""Full stop, question and exclamation mark: Latin, full-width, and the Arabic and Devanagari ones."""

_CLOSING = "\"'\u201d\u2019\u00bb)]\u300f\u300d\n"
"""Quotes, brackets and the line breaks of dictation, which may follow the mark."""


def bare_form(text: str) -> str:
    """The word in lower case without punctuation at its edges; apostrophes and hyphens inside stay. May be empty."""
    if text.isalnum():  # most words: no punctuation to look for
        return text.lower()
    start, end = 0, len(text)
    while start < end and _is_edge_punctuation(text[start]):
        start += 1
    while end > start and _is_edge_punctuation(text[end - 1]):
        end -= 1
    return text[start:end].lower()


def bare_text(word: Word) -> str:
    """The bare form of a word, formatted or not: what ``word`` shows in responses."""
    return bare_form(word.text) if word.bare is None else word.bare


def is_half_of_day(word: Word) -> bool:
    """Whether the word ends in "a.m." or "p.m.", whose full stop may not be the sentence's."""
    return word.text.endswith(".") and bare_form(word.text).replace(".", "")[-2:] in {"am", "pm"}


def ends_sentence(text: str) -> bool:
    """Whether a displayed word closes a sentence; closing quotes, brackets and breaks after it do not hide it."""
    return text.rstrip(_CLOSING).endswith(_SENTENCE_ENDS)


def _is_edge_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P") and character not in _KEPT_AT_EDGES
