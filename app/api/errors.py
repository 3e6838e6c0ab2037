"""Errors on their way out: each leaves as JSON in the words of the clients its route is for."""

from __future__ import annotations

import math

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.dialects import openai_errors, plain_rest
from app.dialects.deepgram_rest import error_message, render_error
from app.dialects.statuses import STATUS
from app.domain.errors import (
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    SttError,
    Unavailable,
)
from app.telemetry import logger

OPENAI_PATHS = ("/v1/audio/", "/v1/realtime")
"""What the paths of OpenAI's routes begin with; their errors have another body."""

PLAIN_PATHS = frozenset({"/transcribe", "/detect-language", "/asr", "/ws/transcribe"})
"""Routes whose clients were written for FastAPI servers and read ``detail``."""

SHARED_PATHS = ("/v1/models",)
"""Routes of both vendors' clients, whose errors both can read."""

UNKNOWN_ROUTE = "The requested resource could not be found."

_log = logger(__name__)


def error_response(error: SttError, request_id: str, path: str = "") -> Response:
    """The JSON answer for ``error`` on ``path``, with ``dg-error`` and, where waiting helps, ``Retry-After`` in seconds."""
    headers = {"dg-error": _header_safe(error_message(error))}
    if isinstance(error, (Overloaded, Unavailable)):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    status = STATUS[error.kind]
    if path.startswith(OPENAI_PATHS):
        headers |= openai_errors.headers(error)
        body, status = openai_errors.render_error(error), openai_errors.status(error, status)
    elif path in PLAIN_PATHS:
        body = plain_rest.render_error(error, request_id)
    elif path.startswith(SHARED_PATHS):
        body = render_error(error, request_id, openai_errors.error_object(error))
    else:
        body = render_error(error, request_id)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def register_error_handlers(app: FastAPI) -> None:
    """Replace the framework's own error bodies by ours."""

    @app.exception_handler(SttError)
    async def _ours(request: Request, error: SttError) -> Response:
        response = error_response(error, request.state.request_id, request.scope["path"])
        status = response.status_code
        _log.log(40 if status >= 500 else 20, "request refused", kind=error.kind.value, status=status)
        return response

    @app.exception_handler(HTTPException)
    async def _framework(request: Request, error: HTTPException) -> Response:
        response = error_response(_translate(error.status_code), request.state.request_id, request.scope["path"])
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, _: RequestValidationError) -> Response:
        return error_response(InvalidRequest(), request.state.request_id, request.scope["path"])


def _translate(status: int) -> SttError:
    if status == 404:
        return NotFound(UNKNOWN_ROUTE)
    if status == 405:
        return MethodNotAllowed()
    return InvalidRequest()


def _header_safe(message: str) -> str:
    """One line of printable ASCII, as a header value must be."""
    return "".join(character if " " <= character <= "~" else "?" for character in message)
