"""What a text reads like after formatting, and what was found in it."""

from app.domain.text.edits import Edited
from app.domain.text.finders import find
from app.domain.text.measurements import measurement_edits
from app.domain.text.numerals import numeral_edits
from app.domain.text.smart_format import smart_edits
from tests.support.transcripts import words


def smart(text: str, language: str = "en") -> str:
    """``text`` with ``smart_format``."""
    spoken = words(text)
    edited = Edited.untouched(spoken).apply(smart_edits(find(spoken, language), spoken))
    return " ".join(word.text for word in edited.words)


def numerals(text: str, language: str = "en") -> str:
    """``text`` with ``numerals``."""
    spoken = words(text)
    return " ".join(word.text for word in Edited.untouched(spoken).apply(numeral_edits(spoken, language)).words)


def measurements(text: str, *, with_numerals: bool = False) -> str:
    """``text`` with ``measurements``."""
    spoken = words(text)
    edits = measurement_edits(spoken, "en") + (numeral_edits(spoken, "en") if with_numerals else [])
    return " ".join(word.text for word in Edited.untouched(spoken).apply(edits).words)


def found(text: str, language: str = "en") -> list[tuple[str, str]]:
    """The labels found in ``text``, each with its words."""
    spoken = words(text)
    return [
        (finding.label, " ".join(word.text for word in spoken[finding.start : finding.end]))
        for finding in find(spoken, language)
    ]


def labels(text: str, language: str = "en") -> list[str]:
    """The labels found in ``text``, plain numbers left out."""
    return [label for label, _ in found(text, language) if label not in {"NUMBER", "ORDINAL"}]
