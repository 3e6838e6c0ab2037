"""Server-sent events of work that goes on while they are sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.presence import while_connected
from app.domain.errors import ClientGone, EngineFailed, SttError
from app.telemetry import logger

_log = logger(__name__)


class EventStream(StreamingResponse):
    """The answer. What goes wrong before the first event is raised by ``begin`` and has a status of its own; what goes wrong
    later is the last event, in the words of ``render_failure``. A client that leaves ends the work.
    """

    def __init__(self, request: Request, render_failure: Callable[[SttError], bytes], headers: Mapping[str, str]) -> None:
        """``request``'s body must have been read."""
        # proxies that hold an answer back until it is whole must not do so with this one
        unheld = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._events(), headers={**headers, **unheld}, media_type="text/event-stream")
        self._request = request
        self._render_failure = render_failure
        self._pending: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._work: asyncio.Future[None] | None = None
        self._held = AsyncExitStack()

    def send(self, events: Iterable[bytes]) -> None:
        """Events in their wire form, in order. From the work only, on the event loop."""
        self._pending.extend(events)
        self._changed.set()

    async def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Start the work and wait for its first event, or for its end. Raises what it raised before any event."""
        self._work = asyncio.ensure_future(work)
        self._work.add_done_callback(lambda _: self._changed.set())
        try:
            await while_connected(self._request, self._first(self._work))
        except BaseException:
            await self._stop()
            raise

    def keep(self, held: AsyncExitStack) -> None:
        """What the work needs; closed when it has ended."""
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send everything, whatever becomes of the client."""
        try:
            with suppress(ClientGone):
                await while_connected(self._request, super().__call__(scope, receive, send))
        finally:
            await self._stop()
            await self._held.aclose()

    async def _first(self, work: asyncio.Future[None]) -> None:
        await self._changed.wait()
        if not self._pending:
            work.result()

    async def _stop(self) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def _events(self) -> AsyncIterator[bytes]:
        while self._pending or (self._work is not None and not self._work.done()):
            if not self._pending:
                self._changed.clear()
                await self._changed.wait()
            while self._pending:
                yield self._pending.popleft()
        error = self._work.exception() if self._work is not None else None
        if error is not None:
            if not isinstance(error, SttError):
                _log.error("unexpected error", exc_info=error)
                error = EngineFailed()
            yield self._render_failure(error)
