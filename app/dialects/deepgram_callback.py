"""``callback`` and ``callback_method``: where the answer goes instead of the response (contract 2.8, 3.1)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from app.dialects.deepgram_query import Query
from app.domain.errors import InvalidRequest
from app.domain.jobs import Callback

REQUESTS = ("http", "https")
REQUESTS_AND_SOCKETS = (*REQUESTS, "ws", "wss")
METHODS = ("post", "put")

_NAMES = frozenset({"callback", "callback_method"})


def parse_callback(query: Query, schemes: tuple[str, ...]) -> Callback | None:
    """The callback that was asked for. Raises ``InvalidRequest`` for what is no URL of one of ``schemes``."""
    method = query.choice("callback_method", METHODS, METHODS[0]).upper()
    url = query.text("callback")
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:  # brackets that hold no address, a port that is no number
        raise InvalidRequest from None
    if not is_usable or " " in url:
        raise InvalidRequest
    return Callback(url, method)


def without_callback(raw_query: bytes) -> str:
    """The query that asks for the same answer without a callback, whose URL may hold a password."""
    pairs = parse_qsl(raw_query.decode("latin-1"), keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if name not in _NAMES])
