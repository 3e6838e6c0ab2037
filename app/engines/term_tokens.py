"""Terms -> the model's tokens: byte pair encoding with the vocabulary that the weights carry. Pure, no engine needed.

The binding tells how many tokens a text has, but not which.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

from app.domain.languages import word_space
from app.domain.options import Keyterm
from app.domain.vocabulary import TermTokens, TermTree, spellings

_PIECES = re.compile(r" ?[^\W\d_]+| ?\d+| ?[^\s\w]+| ?_+")
"""Letters, digits and marks are encoded apart, each with the space before it, as in training."""


def build_tree(terms: Iterable[Keyterm], ranks: Mapping[bytes, int], language: str) -> TermTree:
    """The prefix tree of every spelling of ``terms``; a term that the vocabulary cannot write is left out."""
    space = word_space(language)
    return TermTree(
        TermTokens(tokens, term.boost)
        for term in terms
        for spelling in spellings(term.text)
        if (tokens := encode(space + spelling, ranks))
    )


def encode(text: str, ranks: Mapping[bytes, int]) -> tuple[int, ...]:
    """Tokens of ``text``; () if the vocabulary lacks one of its bytes. ``ranks``: id by bytes of every text token.

    In Whisper's vocabularies the ids are the order of the merges, so no list of merges is needed.
    """
    tokens: list[int] = []
    for piece in _PIECES.findall(text):
        parts = _merge([bytes([byte]) for byte in piece.encode()], ranks)
        if any(part not in ranks for part in parts):
            return ()
        tokens += [ranks[part] for part in parts]
    return tuple(tokens)


def _merge(parts: list[bytes], ranks: Mapping[bytes, int]) -> list[bytes]:
    """Join the pair that was learnt first, until no pair is in the vocabulary."""
    while True:
        pairs = [first + second for first, second in pairwise(parts)]
        known = [(ranks[pair], index) for index, pair in enumerate(pairs) if pair in ranks]
        if not known:
            return parts
        _, index = min(known)
        parts[index : index + 2] = [pairs[index]]
