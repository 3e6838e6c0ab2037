"""``replace``: words of the client's choice in place of what was heard (contract 2.7). Runs after all other formatting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.domain.options import Replacement
from app.domain.text.edits import Edit, edges, spread
from app.domain.transcript import Word


@dataclass(frozen=True, slots=True)
class _Rule:
    find: tuple[str, ...]
    replacement: tuple[str, ...]
    exact: bool


class Replacer:
    """Compiled rules. One whose ``find`` has a capital matches that casing only and goes first; then the longer, then the
    earlier one goes first."""

    def __init__(self, replacements: Iterable[Replacement]) -> None:
        rules = [
            _Rule(find, tuple(given.replacement.split()), exact=given.find != given.find.lower())
            for given in replacements
            if (find := tuple(_core(part) for part in given.find.split()))
        ]
        rules.sort(key=lambda rule: (not rule.exact, -len(rule.find)))
        self._by_first: dict[str, list[tuple[int, _Rule]]] = {}
        for rank, rule in enumerate(rules):
            self._by_first.setdefault(rule.find[0].lower(), []).append((rank, rule))

    def edits(self, words: Sequence[Word]) -> list[Edit]:
        """The replacements in ``words``, those that win an overlap first."""
        cores = [_core(word.text) for word in words]
        lower = [core.lower() for core in cores]
        found: list[tuple[int, Edit]] = []
        for start, first in enumerate(lower):
            for rank, rule in self._by_first.get(first, ()):
                end = start + len(rule.find)
                said = cores if rule.exact else lower
                if tuple(said[start:end]) == rule.find:
                    found.append((rank, Edit(start, end, spread(words[start:end], rule.replacement))))
        return [edit for _, edit in sorted(found, key=lambda match: (match[0], match[1].start))]


def _core(text: str) -> str:
    """The word without the punctuation around it, its casing kept; punctuation alone stays."""
    word = Word(text, 0.0, 0.0, 0.0)
    before, after = edges((word,))
    return text[len(before) : len(text) - len(after)] or text
