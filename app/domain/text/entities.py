"""``detect_entities``: findings as Deepgram's entities, pointing at the words that are displayed in the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType

from app.domain.text.edits import Edit, Edited, edges
from app.domain.text.finding import Finding
from app.domain.text.forms import bare_text
from app.domain.transcript import Entity, Word

_RENAMED = MappingProxyType({"NUMBER": "CARDINAL"})
"""Our label -> Deepgram's, where they differ."""

_NO_ENTITIES = frozenset({"UNITS"})
"""What the finders know and Deepgram does not list."""


def entities_of(
    findings: Iterable[Finding], found_in: Edited, displayed: Edited, redactions: Sequence[Edit]
) -> tuple[Entity, ...]:
    """The entities in ``displayed`` words; ``findings`` and ``redactions`` count the words of ``found_in``.

    One that a redaction touches shows nothing but what is displayed, as its raw value too. One of which nothing is left is
    left out.
    """
    return tuple(_entities(findings, found_in, displayed, redactions))


def _entities(
    findings: Iterable[Finding], found_in: Edited, displayed: Edited, redactions: Sequence[Edit]
) -> Iterator[Entity]:
    hidden = bytearray(len(found_in.words))
    for edit in redactions:
        hidden[edit.start : edit.end] = b"\x01" * (edit.end - edit.start)
    for finding in findings:
        if finding.label in _NO_ENTITIES:
            continue
        span = displayed.span(found_in.origins[finding.start][0], found_in.origins[finding.end - 1][1])
        if span is None:
            continue
        words = displayed.words[span[0] : span[1]]
        if any(hidden[finding.start : finding.end]):
            value = raw_value = " ".join(bare_text(word) for word in words)
        else:
            value, raw_value = _value(words), _value(found_in.words[finding.start : finding.end])
        confidence = sum(word.confidence for word in words) / len(words)
        yield Entity(_RENAMED.get(finding.label, finding.label), *span, value, raw_value, confidence)


def _value(words: Sequence[Word]) -> str:
    """The words without the sentence's punctuation around them."""
    text = " ".join(word.text for word in words)
    before, after = edges(words)
    start = before.rstrip("(") if ")" in text[:-1] else before  # "(555) 123-4567": the bracket is the number's own
    return text[len(start) : len(text) - len(after)].strip() or text.strip()
