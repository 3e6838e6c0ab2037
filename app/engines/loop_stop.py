"""Ends a decode that says the same over and over, long before its budget of tokens is spent.

Left alone, whisper.cpp goes on to 220 tokens, and does so again at every temperature it then tries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from app.domain.guards import copies_to_cut

LEAST_TOKENS = 40
"""Tokens an attempt may always make: whisper.cpp tries a higher temperature if the last 32 of more than 32 say little."""

LONGEST_PHRASE = 24
"""Tokens of the longest phrase whose copies are found: twelve words, as in ``domain/guards.py``, of two tokens each."""

NEWEST_TOKENS = 160
"""How far back copies are looked for: five of the longest phrase, and their timestamps."""

_CERTAIN = 50.0  # beyond the best other logit: no other token has any probability left


class LoopStop:
    """Judges the tokens of one model. Ids below ``end_of_text`` are text, those above it timestamps and tasks."""

    def __init__(self, token_bytes: Callable[[int], bytes], end_of_text: int) -> None:
        self._token_bytes = token_bytes
        self._end_of_text = end_of_text

    def lift(self, said: Sequence[int], logits: NDArray[np.float32]) -> None:
        """Make the end of the text the next token if ``said`` has come to a loop."""
        if len(said) >= LEAST_TOKENS and self.is_loop([token for token in said if token < self._end_of_text]):
            logits[self._end_of_text] = logits.max() + _CERTAIN

    def is_loop(self, text: Sequence[int]) -> bool:
        """Whether the tokens end with so many copies of a phrase that the guards would cut it."""
        for length in range(1, min(LONGEST_PHRASE, len(text) // 2) + 1):
            copied = 0
            while copied + length < len(text) and text[-1 - copied] == text[-1 - copied - length]:
                copied += 1
            copies = copied // length + 1
            if copies > 1 and copies >= copies_to_cut(self._words(text[-length:])):
                return True
        return False

    def _words(self, phrase: Sequence[int]) -> int:
        return max(1, sum(self._token_bytes(token).startswith(b" ") for token in phrase))
