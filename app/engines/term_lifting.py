"""The trees of key terms that one engine has been asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from app.domain.languages import word_space
from app.domain.options import Keyterm
from app.domain.vocabulary import TermTree
from app.engines.term_tokens import build_tree

REMEMBERED_TREES = 32
"""A stream asks for the same terms with every decode. A tree of a hundred terms takes milliseconds to build."""


class TermLifting:
    """Knows which tokens to lift. ``token_bytes`` gives the bytes of a text token; their ids lie below ``text_tokens``."""

    def __init__(self, token_bytes: Callable[[int], bytes], text_tokens: int) -> None:
        self._token_bytes = token_bytes
        self._text_tokens = text_tokens
        self._ranks: dict[bytes, int] = {}
        self._trees: OrderedDict[tuple[tuple[Keyterm, ...], str], TermTree] = OrderedDict()

    def tree(self, terms: tuple[Keyterm, ...], language: str) -> TermTree:
        """The tokens of ``terms``; an empty tree if the vocabulary cannot write them."""
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
