"""What of a request's address may be kept and shown: parameters that hold choices, and none that hold text or addresses."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from app.dialects.deepgram_options import MAX_TAG_CHARACTERS
from app.dialects.deepgram_parameters import PARAMETERS

MAX_PARAMETERS = 100
MAX_VALUE_CHARACTERS = 128

_PRIVATE = frozenset(
    {"callback", "custom_intent", "custom_topic", "extra", "keyterm", "keywords", "prompt", "replace", "search"}
)
_SHOWN = frozenset(parameter.name for parameter in PARAMETERS) - _PRIVATE | {"intent", "output", "task"}


def shown_path(path: str, raw_query: bytes) -> str:
    """The path with the harmless part of its query."""
    pairs = [(name, value[:MAX_VALUE_CHARACTERS]) for name, value in _pairs(raw_query) if name in _SHOWN]
    return f"{path}?{urlencode(pairs[:MAX_PARAMETERS])}" if pairs else path


def usage_tags(raw_query: bytes) -> tuple[str, ...]:
    """The labels under which the request is to be counted, each once."""
    tags = (value[:MAX_TAG_CHARACTERS] for name, value in _pairs(raw_query) if name == "tag" and value)
    return tuple(dict.fromkeys(tags))[:MAX_PARAMETERS]


def _pairs(raw_query: bytes) -> list[tuple[str, str]]:
    return parse_qsl(raw_query.decode("latin-1"), keep_blank_values=True) if raw_query else []
