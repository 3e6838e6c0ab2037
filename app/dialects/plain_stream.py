"""``WS /ws/transcribe``: bare samples in, ``{text, language, is_final}`` out.

Nobody ever wrote this protocol down, and each client ends a stream in its own way: all usual words for it are understood.
"""

from __future__ import annotations

import orjson

from app.domain.languages import word_space
from app.domain.stream.events import CloseStream, Control, Finalize, KeepAlive, Results, StreamEvent

_END = frozenset({"done", "stop", "end", "eos", "eof", "close", "closestream", "end_of_stream", "end_of_audio", "finish"})
_FLUSH = frozenset({"flush", "finalize", "commit"})
_ALIVE = frozenset({"keepalive", "keep_alive", "ping"})
_MAX_CHARACTERS = 4096
"""Longest text that may say something."""

_KEYS = ("action", "type", "event", "command")


def parse_message(message: bytes | str) -> bytes | Control | None:
    """Sound, or what a text says; None: nothing that concerns us. Empty binary messages end the stream, as elsewhere."""
    if isinstance(message, bytes):
        return message or CloseStream()
    word = _said(message)
    if word in _END:
        return CloseStream()
    if word in _FLUSH:
        return Finalize()
    return KeepAlive() if word in _ALIVE else None


def _said(text: str) -> str:
    if len(text) > _MAX_CHARACTERS:
        return ""
    try:
        message = orjson.loads(text)
    except ValueError:
        return text.strip().lower()
    if isinstance(message, str):
        return message.strip().lower()
    if not isinstance(message, dict):
        return ""
    if message.get("eof"):
        return "eof"
    return next((str(message[key]).strip().lower() for key in _KEYS if key in message), "")


class PlainStream:
    """Renders one stream. ``language`` is Whisper's code; None: whatever was detected."""

    def __init__(self, language: str | None) -> None:
        self._language = language
        self._is_shown = False

    def render(self, event: StreamEvent) -> str | None:
        """The message for an event, or None.

        Silence says nothing, except that an empty final takes back what an interim has shown, and answers a flush.
        """
        if not isinstance(event, Results):
            return None
        if not event.words and not (event.is_final and (self._is_shown or event.from_finalize)):
            return None
        self._is_shown = not event.is_final
        language = self._language or event.language
        text = word_space(language or "en").join(word.text for word in event.words)
        return orjson.dumps({"text": text, "language": language, "is_final": event.is_final}).decode()
