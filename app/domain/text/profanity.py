"""``profanity_filter``: words of a maintained list become asterisks of equal length (contract 2.7).

The lists are those of the package glin-profanity, in 24 languages. They were made for search engines, so they are corrected
here for speech: everyday and clinical words that they hold stay readable ("how to kill", "rectum", Italian "venire": to
come), and what they lack is added ("damn", inflections). Whole words only: nothing inside "Scunthorpe" or "class" counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType

from app.domain.text.edits import Edit
from app.domain.text.forms import bare_form, bare_text
from app.domain.text.profanity_corrections import ADDED, NAMES, ORDINARY
from app.domain.transcript import Word

_LISTS = MappingProxyType(
    {
        "ar": "arabic", "zh": "chinese", "yue": "chinese", "cs": "czech", "da": "danish", "nl": "dutch", "en": "english",
        "fi": "finnish", "fr": "french", "de": "german", "hi": "hindi", "hu": "hungarian", "it": "italian",
        "ja": "japanese", "ko": "korean", "no": "norwegian", "nn": "norwegian", "fa": "persian", "pl": "polish",
        "pt": "portuguese", "ru": "russian", "es": "spanish", "sv": "swedish", "th": "thai", "tr": "turkish",
    }
)  # fmt: skip
"""Whisper's code -> the package's name of a list."""


@dataclass(frozen=True, slots=True)
class _Profanities:
    single: frozenset[str]
    phrases: MappingProxyType[str, tuple[tuple[str, ...], ...]]
    """First word -> the phrases of several words that begin with it, longest first."""


def profanity_edits(words: Sequence[Word], language: str) -> list[Edit]:
    """Masks for the profane words of ``language`` (Whisper's code); none for one without a list.

    The first call reads the list of a language: about 0.1 s for the package, under 1 ms for each list.
    """
    known = _profanities(language)
    bare = [bare_text(word).lower() for word in words]
    edits: list[Edit] = []
    position = 0
    while position < len(words):
        length = _profane(bare, position, words[position], known)
        edits += [Edit(index, index + 1, (_masked(words[index]),)) for index in range(position, position + length)]
        position += max(length, 1)
    return edits


def _profane(bare: Sequence[str], position: int, word: Word, known: _Profanities) -> int:
    """How many words from ``position`` on are profane together."""
    text = bare[position]
    for phrase in known.phrases.get(text, ()):
        if tuple(bare[position : position + len(phrase)]) == phrase:
            return len(phrase)
    stem = text[:-2] if text.endswith(("'s", "\u2019s")) else text
    if stem not in known.single:
        return 0
    is_name = stem in NAMES and word.text[:1].isupper()
    return 0 if is_name else 1


def _masked(word: Word) -> Word:
    """Asterisks for the word, its punctuation kept. Spaces that a formatter put into it stay."""
    bare = bare_form(word.text) or word.text.lower()
    start = max(word.text.lower().find(bare), 0)
    mask = "".join(character if character.isspace() else "*" for character in word.text[start : start + len(bare)])
    return replace(word, text=word.text[:start] + mask + word.text[start + len(bare) :], bare=mask)


@cache
def _profanities(language: str) -> _Profanities:
    name = _LISTS.get(language)
    if name is None:
        return _Profanities(frozenset(), MappingProxyType({}))
    from glin_profanity.data.dictionary import dictionary

    listed = {" ".join(entry.lower().split()) for entry in dictionary.get_words(name)}
    entries = (listed | ADDED.get(language, frozenset())) - ORDINARY.get(language, frozenset())
    phrases: dict[str, list[tuple[str, ...]]] = {}
    for entry in sorted(entries):
        parts = tuple(entry.split())
        if len(parts) > 1:
            phrases.setdefault(parts[0], []).append(parts)
    longest_first = {first: tuple(sorted(found, key=len, reverse=True)) for first, found in phrases.items()}
    return _Profanities(frozenset(entry for entry in entries if " " not in entry), MappingProxyType(longest_first))
