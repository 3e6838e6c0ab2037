"""``filler_words``: "uh" and "um" leave the words unless the caller wants them (contract 2.2, 2.7). Times do not shift."""

from __future__ import annotations

from dataclasses import replace

from app.domain.text.forms import bare_form, ends_sentence
from app.domain.transcript import Word

FILLERS = frozenset({"uh", "um"})


def without_fillers(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Drop the fillers. What a filler held goes to its neighbours: a capital to the next word, a full stop to the last."""
    kept: list[Word] = []
    owed_capital = False
    for word in words:
        if bare_form(word.text) in FILLERS:
            owed_capital = owed_capital or word.text[:1].isupper()
            if ends_sentence(word.text) and kept and not ends_sentence(kept[-1].text):
                kept[-1] = replace(kept[-1], text=kept[-1].text.rstrip(",;:") + word.text[-1])
            continue
        if owed_capital:
            word = replace(word, text=word.text[:1].upper() + word.text[1:])
            owed_capital = False
        kept.append(word)
    return tuple(kept)
