"""``measurements``: units after numbers are abbreviated, ``5 kilograms`` to ``5 kg`` (contract 2.2)."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.text.edits import Edit, merged
from app.domain.text.finders.quantities import UNITS
from app.domain.text.finders.speech import Speech
from app.domain.transcript import Word


def measurement_edits(words: Sequence[Word], language: str) -> list[Edit]:
    """One edit for each unit that follows a number, written or spoken; ``language`` is Whisper's code. English only.

    An edit replaces the unit alone, so that it goes together with those of ``numerals``.
    """
    if language != "en":
        return []
    speech = Speech(words, language)
    units = [index for index in speech.places(UNITS) if index in speech.number_ends and not speech.pauses[index - 1]]
    return [Edit(index, index + 1, (merged([words[index]], UNITS[speech.texts[index]]),)) for index in sorted(units)]
