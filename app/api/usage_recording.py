"""ASGI middleware that puts every request for transcription on record, whatever its dialect.

It opens an entry, lets everybody below note in it what they do, and writes it down before the end of the answer leaves.
Whether there is anything to record is decided where the request shows that it may transcribe (``app/api/auth.py``).
"""

from __future__ import annotations

from datetime import datetime, timezone

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.dialects.deepgram_usage_path import shown_path, usage_tags
from app.domain.usage import Method
from app.services.usage_entry import UsageEntry, entered
from app.services.usage_log import UsageLog

CLIENT_GONE = 499
SERVER_FAILED = 500

_ORDERLY = frozenset({1000, 1001, 1005})
_REFUSED = {1002: 400, 1003: 400, 1007: 400, 1008: 400, 1009: 413, 1012: 503, 1013: 503}
"""Close codes that tell of the client or of the moment -> what the same would be over HTTP; others are the server's own."""

_IDLE = "NET-0001"


class UsageRecording:
    """Inside ``RequestContext``, which gives requests their ids."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        query = scope["query_string"]
        entry = UsageEntry(
            scope["state"]["request_id"],
            datetime.now(timezone.utc),
            shown_path(scope["path"], query),
            Method.STREAMING if scope["type"] == "websocket" else Method.SYNC,
            usage_tags(query),
        )
        answer = _Answer(entry, scope["app"].state.services.usage_log, send)
        with entered(entry):
            try:
                await self._app(scope, receive, answer.send)
            except BaseException:
                await answer.finish(SERVER_FAILED)
                raise
            await answer.finish(CLIENT_GONE if scope["type"] == "http" else None)


class _Answer:
    """One request's answer on its way out."""

    def __init__(self, entry: UsageEntry, log: UsageLog, send: Send) -> None:
        self._entry = entry
        self._log = log
        self._send = send
        self._status: int | None = None
        self._is_finished = False

    async def send(self, message: Message) -> None:
        kind = message["type"].removeprefix("websocket.")
        if kind == "accept":
            await self._log.begin(self._entry)
        elif kind == "close":
            await self.finish(_status_of_close(message.get("code", 1000), message.get("reason") or ""))
        elif kind == "http.response.start":
            self._status = message["status"]
        elif kind == "http.response.body" and not message.get("more_body", False):
            await self.finish(self._status)
        await self._send(message)

    async def finish(self, code: int | None) -> None:
        """Once: what comes later is no answer any more. None: a stream that its client ended, which is how streams end."""
        if not self._is_finished:
            self._is_finished = True
            await self._log.finish(self._entry, 200 if code is None else code)


def _status_of_close(code: int, reason: str) -> int:
    if code in _ORDERLY:
        return 200
    return 408 if reason.startswith(_IDLE) else _REFUSED.get(code, SERVER_FAILED)
