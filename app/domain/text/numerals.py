"""``numerals``: numbers in words become digits, and nothing else changes (contract 2.2, 2.7)."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.text.edits import Edit, merged, spread
from app.domain.text.finders.quantities import find_numbers
from app.domain.text.finders.speech import Speech
from app.domain.text.forms import bare_text
from app.domain.transcript import Word


def numeral_edits(words: Sequence[Word], language: str) -> list[Edit]:
    """One edit for each number that is spoken in words; ``language`` is Whisper's code.

    "nine hundred" becomes ``900`` and "twenty eighth" ``28th``; digits said one by one stay words of their own. Where "one"
    is no number ("no one"), and for articles that mean one too, nothing changes.
    """
    speech = Speech(words, language)
    edits: list[Edit] = []
    reached = 0
    for finding in sorted(find_numbers(speech), key=lambda finding: (finding.start, -finding.end)):
        spoken = words[finding.start : finding.end]
        if finding.start < reached:
            continue
        reached = finding.end
        if [bare_text(word) for word in spoken] == list(finding.written):
            continue
        if len(finding.written) == len(spoken):
            written = tuple(merged([word], text) for word, text in zip(spoken, finding.written, strict=True))
        elif len(finding.written) == 1:
            written = (merged(spoken, finding.written[0]),)
        else:
            written = spread(spoken, finding.written)
        edits.append(Edit(finding.start, finding.end, written))
    return edits
