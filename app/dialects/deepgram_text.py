"""The query parameters that hold lists of text: ``redact``, ``replace``, ``search`` (contract 2.2, 2.7)."""

from __future__ import annotations

from app.dialects.deepgram_query import Query
from app.domain.errors import InvalidParameter
from app.domain.options import Replacement
from app.domain.text.redaction_rules import KNOWN, NUMBERS

MAX_REPLACEMENTS = 200
MAX_SEARCHES = 25

_ON = frozenset({"true", "1", "yes", "on", ""})
_OFF = frozenset({"false", "0", "no", "off"})


def redactions(query: Query) -> tuple[str, ...]:
    """Groups and entity types in lower case; ``true`` is ``numbers``. Lists with commas count as their parts."""
    rules: list[str] = []
    for value in query.texts("redact"):
        parts = [part.strip() for part in value.lower().split(",")]
        for rule in [part for part in parts if part] or [""]:
            rules += [] if rule in _OFF else [NUMBERS if rule in _ON else rule]
    if not KNOWN.issuperset(rules):
        raise _unusable("redact", "expected `true`, `false`, a group or an entity type")
    return tuple(dict.fromkeys(rules))


def replacements(query: Query) -> tuple[Replacement, ...]:
    """``find:replacement``, split at the first colon; without one, or with nothing after it, the words are deleted."""
    values = query.texts("replace")
    if len(values) > MAX_REPLACEMENTS:
        raise _unusable("replace", f"at most {MAX_REPLACEMENTS} are accepted")
    found = []
    for value in values:
        find, _, replacement = value.partition(":")
        if not find.strip():
            raise _unusable("replace", "expected `find:replacement` or `find`")
        found.append(Replacement(find.strip(), replacement.strip()))
    return tuple(found)


def search_phrases(query: Query) -> tuple[str, ...]:
    """Phrases to find, as the client wrote them."""
    phrases = tuple(phrase for phrase in query.texts("search") if phrase.strip())
    if len(phrases) > MAX_SEARCHES:
        raise _unusable("search", f"at most {MAX_SEARCHES} are accepted")
    return phrases


def _unusable(name: str, detail: str) -> InvalidParameter:
    return InvalidParameter(f"Failed to deserialize query parameters: {name}: {detail}", parameter=name)
