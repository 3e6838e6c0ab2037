"""A transcript as Deepgram's pre-recorded response (contract 2.5), and errors as its bodies (1.3, 2.9)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.dialects.deepgram_intelligence import alternative_entries, metadata_entries, results_entries
from app.dialects.deepgram_words import (
    WordRenderer,
    median_confidence,
    render_entities,
    render_search,
    seconds,
    spoken_languages,
)
from app.domain.errors import ErrorKind, SttError
from app.domain.options import TranscribeOptions
from app.domain.transcript import Channel, ModelInfo, RequestWarning, Transcript

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What the response repeats of the request: id, time of arrival (aware UTC), digest of the audio bytes, labels."""

    request_id: str
    created: datetime
    sha256: str
    tags: tuple[str, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()


def render_response(transcript: Transcript, options: TranscribeOptions, facts: RequestFacts) -> bytes:
    """The whole 200 body."""
    return orjson.dumps({"metadata": _metadata(transcript, facts), "results": _results(transcript, options)})


def _metadata(transcript: Transcript, facts: RequestFacts) -> Json:
    model = transcript.model
    metadata: Json = {
        "transaction_key": "deprecated",
        "request_id": facts.request_id,
        "sha256": facts.sha256,
        "created": timestamp(facts.created),
        "duration": seconds(transcript.duration_s),
        "channels": len(transcript.channels),
        "models": [model.uuid],
        "model_info": {model.uuid: model_info(model)},
    }
    if transcript.warnings:
        metadata["warnings"] = render_warnings(transcript.warnings)
    if transcript.findings is not None:
        metadata |= metadata_entries(transcript.findings)
    if transcript.diarizer is not None:
        metadata["diarize_info"] = diarize_info(transcript.diarizer)
    if facts.extra:
        metadata["extra"] = dict(facts.extra)
    if facts.tags:
        metadata["tags"] = list(facts.tags)
    return metadata


def _results(transcript: Transcript, options: TranscribeOptions) -> Json:
    renderers = [
        WordRenderer(channel.language, punctuated=options.text.punctuate, tag_language=options.code_switching)
        for channel in transcript.channels
    ]
    results: Json = {
        "channels": [
            _channel(channel, renderer, options) for channel, renderer in zip(transcript.channels, renderers, strict=True)
        ]
    }
    if transcript.findings is not None:
        results |= results_entries(transcript.findings, options.intelligence, len(transcript.channels))
        for index, rendered in enumerate(results["channels"]):
            rendered["alternatives"][0] |= alternative_entries(transcript.findings, options.intelligence, index)
    if options.text.utterances:
        utterances = [
            utterance
            for index, (channel, renderer) in enumerate(zip(transcript.channels, renderers, strict=True))
            for utterance in renderer.utterances(channel.words, index, options.text.utterance_split_s)
        ]
        results["utterances"] = sorted(utterances, key=lambda utterance: utterance["start"])
    return results


def _channel(channel: Channel, renderer: WordRenderer, options: TranscribeOptions) -> Json:
    words = channel.words
    alternative: Json = {
        "transcript": renderer.text(words),
        "confidence": median_confidence(words),
        "words": [renderer.word(word) for word in words],
    }
    if options.text.paragraphs:
        alternative["paragraphs"] = renderer.paragraphs(words)
    if options.text.detect_entities:
        alternative["entities"] = render_entities(channel.entities)
    if options.code_switching:
        alternative["languages"] = spoken_languages(words, channel.language)
    if options.language_hints:
        alternative["languages_hinted"] = list(options.language_hints)
    rendered: Json = {"search": render_search(channel.search)} if options.text.search else {}
    rendered["alternatives"] = [alternative]
    if channel.detected is not None and options.detect_language:
        rendered["detected_language"] = channel.detected.language
        rendered["language_confidence"] = round(channel.detected.probability, 8)
    return rendered


def model_info(model: ModelInfo) -> Json:
    """The ``{name, version, arch}`` object of a model."""
    return {"name": model.name, "version": model.version, "arch": model.architecture}


def render_warnings(warnings: Iterable[RequestWarning]) -> list[Json]:
    """``metadata.warnings``."""
    return [{"parameter": each.parameter, "type": each.type, "message": each.message} for each in warnings]


def diarize_info(diarizer: ModelInfo) -> Json:
    """Deepgram's two keys, and the name of what did the work on this server."""
    return {"model_uuid": diarizer.uuid, "arch": diarizer.architecture, "name": diarizer.name}


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and ``Z``; ``moment`` must be aware UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


_ERROR_CODES = {
    ErrorKind.INVALID_PARAMETER: "INVALID_QUERY_PARAMETER",
    ErrorKind.INVALID_REQUEST: "Bad Request",
    ErrorKind.QUERY_TOO_LONG: "URI_TOO_LONG",
    ErrorKind.INVALID_PAYLOAD: "Bad Request",
    ErrorKind.BAD_AUDIO: "Bad Request",
    ErrorKind.UNSUPPORTED_MODEL: "Bad Request",
    ErrorKind.REMOTE_CONTENT: "REMOTE_CONTENT_ERROR",
    ErrorKind.INVALID_CREDENTIALS: "INVALID_AUTH",
    ErrorKind.INSUFFICIENT_SCOPE: "INSUFFICIENT_PERMISSIONS",
    ErrorKind.FORBIDDEN: "FORBIDDEN",
    ErrorKind.NOT_FOUND: "NOT_FOUND",
    ErrorKind.PROJECT_NOT_FOUND: "PROJECT_NOT_FOUND",
    ErrorKind.METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED",
    ErrorKind.PAYLOAD_TOO_LARGE: "PAYLOAD_TOO_LARGE",
    ErrorKind.SLOW_UPLOAD: "SLOW_UPLOAD",
    ErrorKind.CLIENT_GONE: "CLIENT_CLOSED_REQUEST",
    ErrorKind.OVERLOADED: "TOO_MANY_REQUESTS",
    ErrorKind.UNAVAILABLE: "Service Unavailable",
    ErrorKind.ENGINE_FAILED: "INTERNAL_SERVER_ERROR",
    ErrorKind.BAD_GATEWAY: "BAD_GATEWAY",
    ErrorKind.DECODE_TIMEOUT: "GATEWAY_TIMEOUT",
}
_PREFIXED = frozenset({ErrorKind.BAD_AUDIO, ErrorKind.UNSUPPORTED_MODEL})
"""Kinds whose message Deepgram begins with the code."""

_MODERN = {
    ErrorKind.INVALID_CREDENTIALS: ("UNAUTHORIZED", "Check that you are using the correct credentials."),
    ErrorKind.INSUFFICIENT_SCOPE: ("FORBIDDEN", "The key lacks a scope that this route needs."),
    ErrorKind.FORBIDDEN: ("FORBIDDEN", "This server does not allow it, or not with this key."),
    ErrorKind.PROJECT_NOT_FOUND: ("NOT_FOUND", "This server has one project; GET /v1/projects shows its id."),
    ErrorKind.NOT_FOUND: ("NOT_FOUND", "Check the address and the id in it."),
}
"""``category`` and ``details`` of the newer error shape, which newer SDKs read on management routes."""


def error_message(error: SttError) -> str:
    """The one line that stands in the body and in the ``dg-error`` header."""
    prefix = f"{_ERROR_CODES[error.kind]}: " if error.kind in _PREFIXED else ""
    return prefix + error.message


def render_error(error: SttError, request_id: str, beside: Json | None = None) -> bytes:
    """The error body: legacy keys always, the newer ones beside them where newer SDKs look for them (contract 1.3).

    ``beside`` is what other clients of the same route read under ``error``.
    """
    message = error_message(error)
    body = {"err_code": _ERROR_CODES[error.kind], "err_msg": message, "request_id": request_id}
    if error.kind in _MODERN:
        category, details = _MODERN[error.kind]
        body |= {"category": category, "message": message, "details": details}
    return orjson.dumps(body if beside is None else {**body, "error": beside})
