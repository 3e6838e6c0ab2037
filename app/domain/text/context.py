"""What was said before a live result: its last words may announce what the result begins with.

"My security code is", a pause, "it's one two three, thanks": without the first result nothing in the second says what the
digits are. On a call with a channel for each person, the announcement is the other one's question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from app.domain.text.finders.speech import CONTEXT_WORDS
from app.domain.text.finding import Finding
from app.domain.transcript import Word

FindAll = Callable[[Sequence[Word]], Sequence[Finding]]


class SpokenBefore:
    """The last words of a stream's finals, whatever the channel."""

    def __init__(self) -> None:
        self._words: tuple[Word, ...] = ()
        self._channel_index = 0

    def words(self, channel_index: int) -> tuple[Word, ...]:
        """They, oldest first. Before the words of another channel a sentence ends."""
        if not self._words or channel_index == self._channel_index:
            return self._words
        last = self._words[-1]
        return (*self._words[:-1], replace(last, text=f"{last.text.rstrip('.,;:?!')}."))

    def keep(self, words: Sequence[Word], channel_index: int) -> None:
        """Remember the words of a final."""
        if words:
            self._words = (*self.words(channel_index), *words)[-CONTEXT_WORDS:]
            self._channel_index = channel_index

    def findings(self, words: Sequence[Word], channel_index: int, find_all: FindAll) -> list[Finding]:
        """What is in ``words``, read together with what was said before them; of what began there, the part in ``words``."""
        before = self.words(channel_index)
        offset = len(before)
        return [
            replace(finding, start=max(finding.start - offset, 0), end=finding.end - offset)
            for finding in find_all((*before, *words))
            if finding.end > offset
        ]
