"""Requests on their way onto the record: one thread writes, and an answer waits until its request is there.

A request whose answer a client has seen is on record although the process is killed the moment after, because ``finish``
returns only once the store has the record. What arrives together is written together.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from time import monotonic

from app.domain.errors import Unavailable
from app.domain.usage import UsageRecord, UsageStore, latest
from app.services.usage_entry import UsageEntry
from app.telemetry import logger

PATIENCE_S = 0.25
"""Seconds that an answer waits for its record. A write takes 0.5 ms; a database that another process holds for longer must
not hold answers: then the record follows as soon as it can."""

MAX_WAITING = 20_000
"""Records that may wait for a database that is away: some 20 MB. More are lost, and the log says how many."""

BATCH = 500
"""Records written in one transaction."""

PROGRESS_S = 30.0
"""Seconds between two looks at what running streams have heard: a server that is killed loses that much of each."""

RETRY_S = 1.0
PURGE_S = 3600.0

_log = logger(__name__)


class UsageLog:
    """One per server process. ``keep_s``: seconds that requests stay on record; 0: none are recorded.

    ``clock`` returns aware UTC. The thread starts with the first record and ends in ``close``.
    """

    def __init__(self, store: UsageStore, clock: Callable[[], datetime], keep_s: float) -> None:
        self._store = store
        self._clock = clock
        self._keep_s = keep_s
        self._waiting: deque[tuple[UsageRecord, Future[None]]] = deque()
        self._running: dict[str, UsageEntry] = {}
        self._changed = threading.Condition()
        self._writer: threading.Thread | None = None
        self._is_closing = False
        self._purge_due = 0.0
        self.recent: deque[bool] = deque(maxlen=100)
        """Whether the server did its part, for each of the last requests."""

    async def begin(self, entry: UsageEntry) -> None:
        """Put a request on record that will go on for a while, and keep it up to date from then on."""
        if self._is_recorded(entry):
            with self._changed:
                self._running[entry.request_id] = entry
            await self._put(entry.record())

    async def finish(self, entry: UsageEntry, code: int) -> None:
        """Put a request on record that is answered with ``code`` now. One that answers later stays unfinished."""
        self.recent.append(code < 500)
        if not self._is_recorded(entry):
            return
        with self._changed:
            self._running.pop(entry.request_id, None)
        is_over = not (entry.answers_later and code < 400)
        await self._put(entry.record(self._clock(), code) if is_over else entry.record())

    def close(self) -> None:
        """Write what is left, as far as the store can be reached, and close it. Blocks."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._writer is not None:
            self._writer.join()
        self._store.close()

    def _is_recorded(self, entry: UsageEntry) -> bool:
        return entry.is_wanted and self._keep_s > 0

    async def _put(self, record: UsageRecord) -> None:
        written: Future[None] = Future()
        self._add(record, written)
        try:
            await asyncio.wait_for(asyncio.wrap_future(written), PATIENCE_S)
        except asyncio.TimeoutError:
            _log.warning("a request is answered before it is on record")

    def _add(self, record: UsageRecord, written: Future[None]) -> None:
        with self._changed:
            if len(self._waiting) >= MAX_WAITING or self._is_closing:
                _log.error("a request is not recorded")
                _tell(written)
                return
            self._waiting.append((record, written))
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="usage", daemon=True)
                self._writer.start()
            self._changed.notify()

    def _write_all(self) -> None:
        progress_due = monotonic() + PROGRESS_S
        while True:
            with self._changed:
                if not self._waiting and not self._is_closing:
                    self._changed.wait(max(0.0, progress_due - monotonic()))
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                running = list(self._running.values()) if monotonic() >= progress_due else []
                is_closing = self._is_closing
            if not batch and is_closing:
                return
            if running or monotonic() >= progress_due:
                progress_due = monotonic() + PROGRESS_S
            # what runs comes first: one of the batch may be the same request, which is over
            if not self._write([entry.record() for entry in running] + [record for record, _ in batch]):
                if is_closing:
                    _log.error("requests are not recorded", count=len(batch))
                    return
                self._put_back(batch)
                continue
            for _, written in batch:
                _tell(written)

    def _write(self, records: list[UsageRecord]) -> bool:
        try:
            self._store.put(latest(records))
            if monotonic() >= self._purge_due:
                self._purge_due = monotonic() + PURGE_S
                self._store.purge(self._clock() - timedelta(seconds=self._keep_s))
        except Unavailable:
            _log.warning("the record of requests cannot be reached")
            return False
        except Exception:  # noqa: BLE001 - the next requests must not wait for ever for these
            _log.exception("requests could not be recorded")
        return True

    def _put_back(self, batch: list[tuple[UsageRecord, Future[None]]]) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(batch))
            if not self._is_closing:
                self._changed.wait(RETRY_S)


def _tell(written: Future[None]) -> None:
    if written.set_running_or_notify_cancel():
        written.set_result(None)
