"""Key terms at work in one engine: their trees, and the filter that lifts their tokens while the library decodes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain.languages import word_space
from app.domain.options import Keyterm
from app.domain.vocabulary import TermTree
from app.engines.logits_hook import LogitsHook
from app.engines.term_tokens import build_tree

REMEMBERED_TREES = 32
"""A stream asks for the same terms with every decode. A tree of a hundred terms takes milliseconds to build."""


class TermLifting:
    """Lifts terms in the decodes of one context. ``token_bytes`` gives the bytes of a text token; their ids lie below
    ``text_tokens``."""

    def __init__(self, binding: ModuleType, hook: LogitsHook, token_bytes: Callable[[int], bytes], text_tokens: int) -> None:
        self._binding = binding
        self._hook = hook
        self._token_bytes = token_bytes
        self._text_tokens = text_tokens
        self._ranks: dict[bytes, int] = {}
        self._trees: OrderedDict[tuple[tuple[Keyterm, ...], str], TermTree] = OrderedDict()

    def attach(self, parameters: Any, terms: tuple[Keyterm, ...], language: str) -> object | None:
        """Make a decode with ``parameters`` favour ``terms``. Keep what is returned until it is over."""
        tree = self._tree(terms, language) if terms else None
        if not tree:
            return None

        def lift(said: list[int], logits: NDArray[np.float32]) -> None:
            lifts = tree.lifts(said)
            logits[lifts.tokens] += lifts.values

        return self._hook.attach(self._binding, parameters, lift, tree.depth)

    def _tree(self, terms: tuple[Keyterm, ...], language: str) -> TermTree:
        key = (terms, word_space(language))
        tree = self._trees.pop(key, None)
        if tree is None:
            tree = build_tree(terms, self._all_ranks(), language)
        self._trees[key] = tree
        while len(self._trees) > REMEMBERED_TREES:
            self._trees.popitem(last=False)
        return tree

    def _all_ranks(self) -> dict[bytes, int]:
        """Read from the model when the first term is asked for: 30 ms that most servers need not spend."""
        if not self._ranks:
            for token in range(self._text_tokens):
                self._ranks.setdefault(self._token_bytes(token), token)
        return self._ranks
