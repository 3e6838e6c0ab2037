"""Terms that the caller wants heard, as the decoder needs them: which tokens to lift, given the tokens said so far. Pure.

A prefix tree of the terms' tokens. At every step the tokens that begin a term, and those that go on with a term already
begun, get something added to their logits; all others are left alone. How this compares with a prompt and with a second
opinion by sound is in decision 0011.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.domain.errors import InvalidRequest
from app.domain.options import Keyterm

MAX_KEYTERM_TOKENS = 500
"""Tokens of all terms of a request together (contract 2.9)."""

BYTES_PER_TOKEN = 4
"""What a token of Whisper's vocabulary stands for, roughly. Limits are checked before it is known which model will listen,
so they count by this estimate: a token for every four bytes of a word, and at least one for every word."""

FIRST_LIFT = 2.0
"""Added to the logit of a token that begins a term: it then wins over a token up to e^2, 7.4 times as probable. On 142 words
that noise had made the self-test model lose, and on 284 utterances without the five terms asked for (2026-11-20):

    lift                  1    1.5    2      3      4      6
    words won back       23 %  36 %  47 %   57 %   71 %   86 %
    terms never said     13    19    33     77    139    330     of 1420 chances, all but 3 of the 33 below 5 dB
"""

NEXT_LIFT = 3.0
"""The same for a token that goes on with a term already begun: what was begun by a lift should also be ended."""

MAX_LIFT = 8.0
"""Most that a boost can make of it: from here on terms are written wherever they fit at all."""


@dataclass(frozen=True, slots=True)
class TermTokens:
    """One spelling of a term as the model's tokens. ``boost`` as in ``Keyterm``."""

    tokens: tuple[int, ...]
    boost: float = 1.0


@dataclass(slots=True)
class _Node:
    children: dict[int, _Node] = field(default_factory=dict)
    lifts: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lifts:
    """What to add to which logits: ``tokens`` int64, ``values`` float32, of equal length, each token once."""

    tokens: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, lifts: dict[int, float]) -> Lifts:
        """From a value for every token."""
        return cls(np.fromiter(lifts.keys(), np.int64, len(lifts)), np.fromiter(lifts.values(), np.float32, len(lifts)))


class TermTree:
    """The prefix tree of some terms. False where there is nothing to lift. ``depth``: tokens of the longest term."""

    def __init__(self, terms: Iterable[TermTokens]) -> None:
        self.depth = 0
        self._root = _Node()
        for term in terms:
            self._add(term)

    def __bool__(self) -> bool:
        return self.depth > 0

    def lifts(self, said: Sequence[int]) -> Lifts:
        """For the token that comes after ``said``, of which the last ``depth`` tokens count."""
        begun: list[_Node] = []
        for token in said[-self.depth :] if self.depth else ():
            begun = [node.children[token] for node in (self._root, *begun) if token in node.children]
        merged = dict(self._root.lifts)
        for node in begun:
            for token, lift in node.lifts.items():
                merged[token] = _stronger(lift, merged.get(token))
        return Lifts.of(merged) if any(node.lifts for node in begun) else self._beginnings

    @cached_property
    def _beginnings(self) -> Lifts:
        return Lifts.of(self._root.lifts)

    def _add(self, term: TermTokens) -> None:
        """A term to favour is lifted all the way; one to avoid is pressed down where it would be complete.

        Nothing that only begins like a word to avoid suffers.
        """
        node = self._root
        last = len(term.tokens) - 1
        for position, token in enumerate(term.tokens):
            if term.boost > 0 or (term.boost < 0 and position == last):
                lift = term.boost * (NEXT_LIFT if position else FIRST_LIFT)
                node.lifts[token] = _stronger(max(-MAX_LIFT, min(MAX_LIFT, lift)), node.lifts.get(token))
            node = node.children.setdefault(token, _Node())
        self.depth = max(self.depth, len(term.tokens))


def _stronger(lift: float, other: float | None) -> float:
    """Of two terms that share a token the stronger counts; favour comes before avoidance."""
    return lift if other is None else max(lift, other)


def spellings(term: str) -> tuple[str, ...]:
    """The forms in which a term can come out: as written, with its first letter the other way round, in lower case."""
    text = " ".join(term.split())
    if not text:
        return ()
    return tuple(dict.fromkeys((text, text[0].upper() + text[1:], text[0].lower() + text[1:], text.lower())))


def estimate_tokens(term: str) -> int:
    """About how many tokens a term has, at least one for each word."""
    return sum(math.ceil(len(word.encode()) / BYTES_PER_TOKEN) for word in term.split())


def exceed_limit(terms: Iterable[str]) -> bool:
    """Whether the terms have more than ``MAX_KEYTERM_TOKENS`` tokens in all, as far as can be told."""
    return sum(estimate_tokens(term) for term in terms) > MAX_KEYTERM_TOKENS


def check_keyterms(terms: Iterable[str]) -> None:
    """Raise ``InvalidRequest``, in the contract's words, if they exceed the limit."""
    if exceed_limit(terms):
        raise InvalidRequest(
            f"Keyterm limit exceeded. The maximum number of tokens across all keyterms is {MAX_KEYTERM_TOKENS}."
        )


def strongest(terms: Iterable[Keyterm]) -> tuple[Keyterm, ...]:
    """Each term once, in order of its first mention, with the boost of its last; a boost of 0 leaves it out."""
    boosts: dict[str, float] = {}
    for term in terms:
        if text := " ".join(term.text.split()):
            boosts[text] = term.boost
    return tuple(Keyterm(text, boost) for text, boost in boosts.items() if boost)
