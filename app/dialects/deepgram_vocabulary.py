"""``keyterm`` and ``keywords`` -> the terms that the decoder favours (contract 2.2, 2.9)."""

from __future__ import annotations

import math

from app.dialects.deepgram_query import Query
from app.domain.errors import InvalidParameter
from app.domain.options import Keyterm
from app.domain.vocabulary import check_keyterms, strongest

MAX_KEYWORDS = 100


def key_terms(query: Query) -> tuple[Keyterm, ...]:
    """The terms of both parameters, each once.

    Raises ``InvalidRequest`` for too many key terms, ``InvalidParameter`` for keywords that cannot be read or are too many.
    """
    keyterms = query.texts("keyterm")
    check_keyterms(keyterms)
    keywords = [keyword for keyword in query.texts("keywords") if keyword.strip()]
    if len(keywords) > MAX_KEYWORDS:
        raise InvalidParameter(f"keywords: at most {MAX_KEYWORDS} are accepted", parameter="keywords")
    check_keyterms(keywords)
    return strongest([*(Keyterm(term) for term in keyterms), *(_keyword(keyword) for keyword in keywords)])


def _keyword(value: str) -> Keyterm:
    """``word`` or ``word:intensifier``, the intensifier after the last colon."""
    word, colon, intensifier = value.rpartition(":")
    if not colon:
        return Keyterm(value)
    if not intensifier.strip():
        return Keyterm(word)
    try:
        boost = float(intensifier)
    except ValueError:
        boost = math.nan
    if not math.isfinite(boost) or not word.strip():
        detail = "keywords: expected `word` or `word:intensifier`"
        raise InvalidParameter(f"Failed to deserialize query parameters: {detail}", parameter="keywords")
    return Keyterm(word, boost)
