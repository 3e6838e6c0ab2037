"""``filler_words``: "uh" and "um" leave the words unless the caller wants them (contract 2.2, 2.7). Times do not shift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.domain.text.edits import Edit
from app.domain.text.forms import bare_form, ends_sentence
from app.domain.transcript import Word

FILLERS = frozenset({"uh", "um"})


def filler_edits(words: Sequence[Word]) -> list[Edit]:
    """Drop the fillers. What a filler held goes to its neighbours: a capital to the next word, a full stop to the last."""
    if not any(bare_form(word.text) in FILLERS for word in words):
        return []
    changed: dict[int, tuple[Word, ...]] = {}
    kept: int | None = None
    owed_capital = False
    for index, word in enumerate(words):
        if bare_form(word.text) in FILLERS:
            owed_capital = owed_capital or word.text[:1].isupper()
            changed[index] = ()
            if kept is not None and ends_sentence(word.text):
                last = changed.get(kept, (words[kept],))[0]
                if not ends_sentence(last.text):
                    changed[kept] = (replace(last, text=last.text.rstrip(",;:") + word.text[-1]),)
            continue
        if owed_capital:
            changed[index] = (replace(word, text=word.text[:1].upper() + word.text[1:]),)
            owed_capital = False
        kept = index
    return [Edit(index, index + 1, replacement) for index, replacement in sorted(changed.items())]
