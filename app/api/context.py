"""What surrounds every request: an id, a clean path, the ``dg-*`` headers, one log line, and a net under everything."""

from __future__ import annotations

import re
from collections.abc import Callable
from time import perf_counter
from uuid import uuid4

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.errors import OPENAI_PATHS, PLAIN_PATHS, SHARED_PATHS, UNKNOWN_ROUTE, error_response
from app.domain.errors import EngineFailed, NotFound, QueryTooLong, SttError
from app.domain.project import PROJECT_ID
from app.telemetry import logger

COUNTED_PATHS = PLAIN_PATHS | {
    "/v1/listen", "/v1/audio/transcriptions", "/v1/audio/translations", "/v1/realtime", "/v1/audio/stream",
}  # fmt: skip
"""Routes whose answers are counted."""

_UNVERSIONED = re.compile(r"/(audio/(transcriptions|translations|stream)|realtime|models(/.*)?)$")
_REPEATED_VERSION = re.compile(r"^(/v1){2,}/")
"""Some clients put ``/v1`` behind the address they are given, some expect it there, and few say which."""

_BEGINNINGS = ("http.response.start", "websocket.http.response.start", "websocket.accept")
_log = logger(__name__)


class RequestContext:
    """ASGI middleware, outermost of ours. ``request.state.request_id`` is the id; paths like ``//v1/listen/`` are mended,
    and so are those with ``/v1`` twice, or not at all where that can mean nothing else.

    A redirect would lose bodies and WebSocket upgrades, so the path is rewritten in place (contract 4.8).
    """

    def __init__(self, app: ASGIApp, max_query_bytes: int, count: Callable[[str, int], None]) -> None:
        """``count`` hears the kind and the status of every answered transcription request."""
        self._app = app
        self._max_query_bytes = max_query_bytes
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = str(uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        scope["path"] = _clean_path(scope["path"])
        call = _Call(scope, send, request_id)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            if len(scope["query_string"]) > self._max_query_bytes:
                await call.refuse(QueryTooLong())
            else:
                await self._app(scope, receive, call.send)
        except Exception:
            if call.client_left:
                return
            _log.exception("unexpected error")
            if call.status is not None:  # the answer has begun: all that is left is to break it off
                raise
            await call.refuse(EngineFailed())
        finally:
            _log.info("request", method=call.method, path=_loggable(scope), status=call.status, seconds=call.elapsed_s)
            if _loggable(scope) in COUNTED_PATHS and call.status is not None:
                self._count("batch" if scope["type"] == "http" else "stream", call.status)


class _Call:
    """One request's answer on its way out."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self.status: int | None = None
        self.client_left = False
        self.method = scope.get("method", "WEBSOCKET")
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self._started = perf_counter()

    @property
    def elapsed_s(self) -> float:
        return round(perf_counter() - self._started, 4)

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.close" and self.status is None:
            # the framework's way to say that a WebSocket route does not exist, which would be a bare 403
            await self.refuse(NotFound(UNKNOWN_ROUTE))
            return
        if message["type"] in _BEGINNINGS:
            self.status = message.get("status", 101)
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            headers["dg-request-id"] = self._request_id
            if self._scope["path"].startswith((*OPENAI_PATHS, *SHARED_PATHS)):
                headers["x-request-id"] = self._request_id
            if self._scope["state"].get("authenticated"):
                headers["dg-project-id"] = PROJECT_ID
        try:
            await self._send(message)
        except OSError:  # what servers raise when nobody is there any more
            self.client_left = True
            raise

    async def refuse(self, error: SttError) -> None:
        """Answer with an error instead of what was asked for; a WebSocket's handshake too (contract 3.8)."""
        response = error_response(error, self._request_id, self._scope["path"])
        prefix = "websocket." if self._scope["type"] == "websocket" else ""
        start = {"type": f"{prefix}http.response.start", "status": response.status_code, "headers": response.raw_headers}
        await self.send(start)
        await self._send({"type": f"{prefix}http.response.body", "body": response.body})


def _clean_path(path: str) -> str:
    path = re.sub(r"/{2,}", "/", path).rstrip("/") or "/"
    if _UNVERSIONED.match(path):
        return f"/v1{path}"
    return _REPEATED_VERSION.sub("/v1/", path)


def _loggable(scope: Scope) -> str:
    """The route's pattern rather than the path, which may hold whatever a client put there."""
    route = scope.get("route")
    return str(getattr(route, "path", "unmatched"))
