"""Commands on the record of requests, beside those that came over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from uuid import uuid4

from structlog.contextvars import bind_contextvars

from app.dialects.statuses import STATUS
from app.domain.errors import ErrorKind, SttError
from app.domain.usage import Method
from app.services.usage_entry import UsageEntry, entered
from app.services.usage_log import UsageLog

PATH = "wyoming"


class RecordedCommand:
    """One command. Wyoming knows no keys, so it counts for none."""

    def __init__(self, log: UsageLog) -> None:
        self._log = log
        self._entry = UsageEntry(str(uuid4()), datetime.now(timezone.utc), PATH, Method.STREAMING)
        self._entry.note_caller("")
        self._is_finished = False

    async def begin(self) -> None:
        """It has been admitted, and goes on for a while."""
        await self._log.begin(self._entry)

    async def finish(self, code: int = 200) -> None:
        """Once, before its last words leave: what a client has seen is on record."""
        if not self._is_finished:
            self._is_finished = True
            await self._log.finish(self._entry, code)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Whoever works for it inside notes what it does, and how it ends is recorded."""
        bind_contextvars(request_id=self._entry.request_id)  # for good: why it was refused is logged behind it
        with entered(self._entry):
            try:
                yield
            except SttError as error:
                await self.finish(STATUS[error.kind])
                raise
            except BaseException:
                await self.finish(STATUS[ErrorKind.ENGINE_FAILED])
                raise
            await self.finish()
