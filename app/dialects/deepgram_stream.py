"""Deepgram's live messages: client text -> machine input, stream events -> JSON (contract 3.3, 3.4).

Nothing but the contract's own message types is ever sent: some SDKs end a session at a type they do not know.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from app.dialects.deepgram_rest import diarize_info, model_info, render_warnings, timestamp
from app.dialects.deepgram_words import WordRenderer, median_confidence, render_entities, render_search, seconds
from app.domain.options import TextOptions
from app.domain.stream.events import (
    CloseStream,
    Configure,
    ConfigureFailure,
    ConfigureReply,
    Control,
    Finalize,
    KeepAlive,
    Metadata,
    Results,
    SchemaError,
    SpeechStarted,
    StreamEvent,
    Unparsable,
    UtteranceEnd,
)
from app.domain.text.formatter import Formatter
from app.domain.transcript import ModelInfo, RequestWarning

Json = dict[str, Any]

CONTROL_BYTES = 64
"""Binary messages up to this size may be control messages: vocode sends its CloseStream that way (contract 3.3)."""

MAX_TEXT_CHARACTERS = 64 * 1024
"""Longest text message that is read; the longest that says something holds five hundred tokens of key terms. The server
takes messages of 16 MiB, and one full of empty lists costs 1.7 s, in which nobody is served, and half a gigabyte."""

ECHOED_CHARACTERS = 4096
"""Most of a message that its error repeats: one of megabytes would come back as often as a client likes to send it."""

LOST_SPEECH = RequestWarning("model", "lost_speech", "There was speech here that could not be recognised.")

_FAILURES = {
    ConfigureFailure.KEYTERMS_NOT_SUPPORTED: (
        "CONFIGURE_KEYTERMS_NOT_SUPPORTED",
        "The engine of this server cannot favour key terms.",
    ),
    ConfigureFailure.KEYTERM_LIMIT_EXCEEDED: (
        "CONFIGURE_KEYTERM_LIMIT_EXCEEDED",
        "Keyterm limit exceeded. The maximum number of tokens across all keyterms is 500.",
    ),
}


def parse_text(text: str) -> Control | None:
    """A text message as machine input; None for one that is ignored without an answer (``Sync``)."""
    message = _object(text)
    echoed = text[:ECHOED_CHARACTERS]
    if message is None:
        return Unparsable(echoed)
    kind = message.get("type")
    if kind == "Sync":
        return None
    return _control(kind, message, echoed) or Unparsable(echoed)


def parse_binary(data: bytes) -> Control | None:
    """The control message in a binary one, or None: it is audio. An empty message ends the stream."""
    if not data:
        return CloseStream()
    if len(data) > CONTROL_BYTES or data[:1] != b"{":
        return None
    text = data.decode("utf-8", "replace")
    message = _object(text)
    return None if message is None else _control(message.get("type"), message, text)


def _object(text: str) -> Json | None:
    """None as well for halves of characters, which only Python's own parser takes: no answer could hold them."""
    try:
        message = orjson.loads(text) if len(text) <= MAX_TEXT_CHARACTERS else None
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def _control(kind: object, message: Json, text: str) -> Control | None:
    if kind == "KeepAlive":
        return KeepAlive()
    if kind == "CloseStream":
        return CloseStream()
    if kind == "Finalize":
        channel = message.get("channel")
        return Finalize(channel, text) if channel is None or type(channel) is int else None
    if kind == "Configure":
        return _configure(message)
    return None


def _configure(message: Json) -> Configure | None:
    keyterms, features = message.get("keyterms"), message.get("features")
    numerals = features.get("numerals") if isinstance(features, dict) else None
    terms = isinstance(keyterms, list) and all(isinstance(term, str) for term in keyterms)
    if not (keyterms is None or terms) or not (numerals is None or isinstance(numerals, bool)):
        return None
    return Configure(tuple(keyterms) if isinstance(keyterms, list) else None, numerals)


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What every message of one stream repeats: id, model, time of the handshake (aware UTC), labels, who tells speakers
    apart."""

    request_id: str
    model: ModelInfo
    created: datetime
    extra: tuple[tuple[str, str], ...] = ()
    diarizer: ModelInfo | None = None


class StreamRenderer:
    """Renders the events of one stream. ``code_switching`` names the language at each word, ``hints`` what it chose from.

    ``doubts`` tells, at the end, what was asked in vain and what of the results was not measured. It stands in the
    ``Metadata``, and that speech was lost in the metadata of its own ``Results``: clients take keys that they do not know,
    but no messages (contract 3.4).
    """

    def __init__(
        self,
        facts: StreamFacts,
        text: TextOptions,
        language: str,
        *,
        code_switching: bool = False,
        hints: tuple[str, ...] = (),
        doubts: Callable[[], Sequence[RequestWarning]] = tuple,
    ) -> None:
        self._facts = facts
        self._doubts = doubts
        self._text = replace(text, measurements=False)  # not on streams (contract 7)
        self._formatter = Formatter(self._text, live=True)
        self._language = language
        self._code_switching = code_switching
        self._hints = hints
        self._metadata: Json = {
            "request_id": facts.request_id,
            "model_info": model_info(facts.model),
            "model_uuid": facts.model.uuid,
        }
        if facts.extra:
            self._metadata["extra"] = dict(facts.extra)
        if facts.diarizer is not None:
            self._metadata["diarize_info"] = diarize_info(facts.diarizer)

    def render(self, event: StreamEvent, sha256: str) -> str | None:
        """The message for ``event``; None for one that clients are not told. ``sha256``: hex, of all audio bytes so far."""
        if isinstance(event, Results):
            return _dump(self._results(event))
        if isinstance(event, SpeechStarted):
            channel = [event.channel_index, event.channels]
            return _dump({"type": "SpeechStarted", "channel": channel, "timestamp": seconds(event.onset_s)})
        if isinstance(event, UtteranceEnd):
            channel = [event.channel_index, event.channels]
            return _dump({"type": "UtteranceEnd", "channel": channel, "last_word_end": seconds(event.last_word_end_s)})
        if isinstance(event, Metadata):
            return _dump(self._summary(event, sha256))
        if isinstance(event, SchemaError):
            return _dump(_schema_error(event))
        if isinstance(event, ConfigureReply):
            return _dump(self._configure_reply(event))
        return None

    def _results(self, event: Results) -> Json:
        language = event.language or self._language
        renderer = WordRenderer(language, punctuated=self._text.punctuate, tag_language=self._code_switching, live=True)
        formatted = self._formatter.format(
            event.words, language, interim=not event.is_final, channel_index=event.channel_index
        )
        words = formatted.words
        alternative: Json = {
            "transcript": renderer.text(words),
            "confidence": median_confidence(words),
            "words": [renderer.word(word) for word in words],
        }
        if self._code_switching and words:
            alternative["languages"] = [language]
        if self._hints:
            alternative["languages_hinted"] = list(self._hints)
        channel: Json = {"alternatives": [alternative]}
        if self._text.search:
            channel["search"] = render_search(self._formatter.search(formatted, language))
        start_s = seconds(event.start_s)
        message: Json = {
            "type": "Results",
            "channel_index": [event.channel_index, event.channels],
            # up to where the next one starts, to the millisecond: two lengths, each rounded, may leave one between them
            "duration": seconds(seconds(event.start_s + event.duration_s) - start_s),
            "start": start_s,
            "is_final": event.is_final,
            "speech_final": event.speech_final,
            "channel": channel,
            "metadata": self._metadata | {"warnings": render_warnings([LOST_SPEECH])} if event.is_lost else self._metadata,
            "from_finalize": event.from_finalize,
        }
        if self._text.detect_entities and event.is_final:
            message["entities"] = render_entities(formatted.entities)
        return message

    def _summary(self, event: Metadata, sha256: str) -> Json:
        facts = self._facts
        summary: Json = {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": facts.request_id,
            "sha256": sha256,
            "created": timestamp(facts.created),
            "duration": seconds(event.duration_s),
            "channels": event.channels,
            "models": [facts.model.uuid],
            "model_info": {facts.model.uuid: model_info(facts.model)},
        }
        if facts.extra:
            summary["extra"] = dict(facts.extra)
        if doubts := self._doubts():
            summary["warnings"] = render_warnings(doubts)
        return summary

    def _configure_reply(self, event: ConfigureReply) -> Json:
        if event.failure is not None:
            code, description = _FAILURES[event.failure]
            failure = {"type": "ConfigureFailure", "request_id": self._facts.request_id}
            return failure | {"code": code, "description": description}
        if event.request.numerals is not None:
            self._formatter = self._formatter.with_numerals(event.request.numerals)
        reply: Json = {"type": "ConfigureSuccess", "request_id": self._facts.request_id}
        if event.request.keyterms is not None:
            reply["keyterms"] = list(event.request.keyterms)
        return reply


def _schema_error(event: SchemaError) -> Json:
    description = "Could not deserialize last text message: it is none of the messages that this stream knows."
    return {"type": "Error", "variant": "SchemaError", "description": description, "message": event.text}


def _dump(message: Json) -> str:
    return orjson.dumps(message).decode()
