"""Hypothesis agreement: words that two hypotheses in a row share stay put in later interims.

Interims only. A final never sees this: how many interims a busy server could afford must not change the text.
"""

from __future__ import annotations

from app.domain.transcript import Word


def same_word(left: Word, right: Word) -> bool:
    """Whether two words are the same but for case and the punctuation around them, which flicker between hypotheses."""
    return _key(left) == _key(right)


class Agreement:
    """One segment's interims: the committed words, which will not change, and the tentative rest."""

    def __init__(self) -> None:
        self.committed: tuple[Word, ...] = ()
        self._tentative: tuple[Word, ...] = ()

    def add(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        """Take the newest hypothesis of the whole segment; return what to show: committed words, then its tail."""
        tail = self._tail(words)
        agreed = 0
        for new, old in zip(tail, self._tentative, strict=False):
            if not same_word(new, old):
                break
            agreed += 1
        self.committed += tail[:agreed]
        self._tentative = tail[agreed:]
        return self.committed + self._tentative

    def _tail(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        count = len(self.committed)
        if all(map(same_word, words, self.committed)):
            return words[count:]
        # It reads the committed part differently: times say where its tail begins.
        end_s = self.committed[-1].end_s
        return tuple(word for word in words if (word.start_s + word.end_s) / 2 > end_s)


def _key(word: Word) -> str:
    folded = word.text.casefold()
    bare = "".join(character for character in folded if character.isalnum())
    return bare or folded
