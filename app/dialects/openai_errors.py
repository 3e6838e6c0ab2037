"""Errors as OpenAI's clients read them: ``{"error": {message, type, param, code}}``."""

from __future__ import annotations

from typing import Any

import orjson

from app.domain.errors import ErrorKind, SttError

Json = dict[str, Any]

_CLIENT = "invalid_request_error"
_SERVER = "server_error"

_TYPES: dict[ErrorKind, tuple[str, str | None]] = {
    ErrorKind.INVALID_PARAMETER: (_CLIENT, "invalid_value"),
    ErrorKind.INVALID_REQUEST: (_CLIENT, None),
    ErrorKind.QUERY_TOO_LONG: (_CLIENT, None),
    ErrorKind.INVALID_PAYLOAD: (_CLIENT, None),
    ErrorKind.BAD_AUDIO: (_CLIENT, "audio_unreadable"),
    ErrorKind.UNSUPPORTED_MODEL: (_CLIENT, "model_not_found"),
    ErrorKind.REMOTE_CONTENT: (_CLIENT, None),
    ErrorKind.INVALID_CREDENTIALS: (_CLIENT, "invalid_api_key"),
    ErrorKind.INSUFFICIENT_SCOPE: (_CLIENT, "insufficient_permissions"),
    ErrorKind.FORBIDDEN: (_CLIENT, "forbidden"),
    ErrorKind.NOT_FOUND: (_CLIENT, "not_found"),
    ErrorKind.PROJECT_NOT_FOUND: (_CLIENT, "not_found"),
    ErrorKind.METHOD_NOT_ALLOWED: (_CLIENT, "method_not_supported"),
    ErrorKind.PAYLOAD_TOO_LARGE: (_CLIENT, "content_too_large"),
    ErrorKind.SLOW_UPLOAD: (_CLIENT, None),
    ErrorKind.CLIENT_GONE: (_CLIENT, None),
    ErrorKind.OVERLOADED: ("rate_limit_error", "rate_limit_exceeded"),
    ErrorKind.UNAVAILABLE: (_SERVER, "server_unavailable"),
    ErrorKind.ENGINE_FAILED: (_SERVER, None),
    ErrorKind.BAD_GATEWAY: (_SERVER, None),
    ErrorKind.DECODE_TIMEOUT: (_SERVER, None),
}


def status(error: SttError, usual: int) -> int:
    """OpenAI's HTTP status where it is not the ``usual`` one: 404 for models, 403 for keys that may not."""
    if error.kind is ErrorKind.INSUFFICIENT_SCOPE:
        return 403
    if error.kind is ErrorKind.UNSUPPORTED_MODEL and error.parameter == "model":
        return 404
    return usual


def headers(error: SttError) -> dict[str, str]:
    """What keeps the SDKs, which repeat whatever failed with 5xx, from sending again what would take too long again."""
    return {"x-should-retry": "false"} if error.kind is ErrorKind.DECODE_TIMEOUT else {}


def error_object(error: SttError) -> Json:
    """What stands under ``error``; all four keys are always there, as the SDKs' types have them."""
    kind, code = _TYPES[error.kind]
    if error.kind is ErrorKind.UNSUPPORTED_MODEL and error.parameter == "language":
        return {
            "message": "The language is not supported.",
            "type": kind,
            "param": "language",
            "code": "unsupported_language",
        }
    return {"message": error.message, "type": kind, "param": error.parameter, "code": code}


def render_error(error: SttError) -> bytes:
    """The whole error body."""
    return orjson.dumps({"error": error_object(error)})
