"""What a finder finds: a stretch of words that means one thing, with the way it is usually written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """The words ``start`` up to (not including) ``end`` are one thing.

    ``label`` is Deepgram's entity type in upper case (``MONEY``), or ``NUMBER``/``ORDINAL``/``PERCENT`` for plain numbers.
    ``written`` is its usual written form, one item per displayed word (``("November", "2,", "2022")``, ``("$15.50",)``,
    ``("(555)", "123-4567")``), without the sentence's own punctuation around it.
    """

    label: str
    start: int
    end: int
    written: tuple[str, ...]

    @property
    def value(self) -> str:
        """The written form as one string."""
        return " ".join(self.written)
