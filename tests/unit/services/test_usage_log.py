"""Requests on their way onto the record: nothing lost, nothing waited for too long."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pytest

from app.domain.usage import Method, UsageFilter, UsageRecord
from app.services import usage_log
from app.services.usage_entry import UsageEntry
from app.services.usage_log import UsageLog
from tests.support.memory_usage import MemoryUsageStore

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)
ANY = UsageFilter()


def clock() -> datetime:
    return NOW


def make_entry(request_id: str = "id-1", **changes: object) -> UsageEntry:
    given: dict[str, object] = {"is_wanted": True} | changes
    return UsageEntry(request_id, NOW, "/v1/listen", **given)  # type: ignore[arg-type]


class HeldStore(MemoryUsageStore):
    """Writes nothing until it is let go; ``asked`` is set once it was asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.go = threading.Event()

    def put(self, records: Sequence[UsageRecord]) -> None:
        if records:
            self.asked.set()
            assert self.go.wait(20)
        super().put(records)


def test_a_finished_request_is_stored_when_finish_returns() -> None:
    async def scenario() -> None:
        store = MemoryUsageStore()
        log = UsageLog(store, clock, 60)
        await log.finish(make_entry(key_id="key-1", tags=("a",)), 200)
        record = store.get("id-1")
        assert record is not None
        assert (record.code, record.completed, record.key_id, record.tags) == (200, NOW, "key-1", ("a",))
        log.close()

    asyncio.run(scenario())


@pytest.mark.parametrize(("entry", "keep_s"), [(make_entry(is_wanted=False), 60), (make_entry(), 0)])
def test_what_is_not_wanted_is_not_stored_and_still_counts_for_health(entry: UsageEntry, keep_s: float) -> None:
    async def scenario() -> None:
        store = MemoryUsageStore()
        log = UsageLog(store, clock, keep_s)
        await log.begin(entry)
        await log.finish(entry, 500)
        await log.finish(entry, 404)
        log.close()
        assert store.get("id-1") is None
        assert list(log.recent) == [False, True]

    asyncio.run(scenario())


def test_what_arrives_together_is_written_together() -> None:
    async def scenario() -> None:
        store = HeldStore()
        log = UsageLog(store, clock, 60)
        first = asyncio.ensure_future(log.finish(make_entry("id-0"), 200))
        await asyncio.to_thread(store.asked.wait, 20)
        others = [asyncio.ensure_future(log.finish(make_entry(f"id-{number}"), 200)) for number in range(1, 50)]
        await asyncio.sleep(0)
        store.go.set()
        await asyncio.gather(first, *others)
        log.close()
        assert [size for size in store.batches if size] == [1, 49]

    asyncio.run(scenario())


def test_a_store_that_hangs_holds_no_answer_and_gets_the_record_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_log, "PATIENCE_S", 0.0)

    async def scenario() -> None:
        store = HeldStore()
        log = UsageLog(store, clock, 60)
        await log.finish(make_entry(), 200)
        assert store.get("id-1") is None
        store.go.set()
        await asyncio.to_thread(log.close)
        assert store.get("id-1") is not None

    asyncio.run(scenario())


def test_a_store_that_is_away_gets_everything_once_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_log, "PATIENCE_S", 0.0)
    monkeypatch.setattr(usage_log, "RETRY_S", 0.0)

    async def scenario() -> None:
        store = MemoryUsageStore()
        store.is_down = True
        log = UsageLog(store, clock, 60)
        for number in range(20):
            await log.finish(make_entry(f"id-{number}"), 200)
        store.is_down = False
        await asyncio.to_thread(log.close)
        assert len(store.page(ANY, 100)) == 20

    asyncio.run(scenario())


def test_closing_does_not_wait_for_a_store_that_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_log, "PATIENCE_S", 0.0)

    async def scenario() -> None:
        store = MemoryUsageStore()
        store.is_down = True
        log = UsageLog(store, clock, 60)
        await log.finish(make_entry(), 200)
        await asyncio.to_thread(log.close)

    asyncio.run(scenario())


def test_no_more_than_a_bounded_number_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_log, "PATIENCE_S", 0.0)
    monkeypatch.setattr(usage_log, "MAX_WAITING", 3)

    async def scenario() -> None:
        store = HeldStore()
        log = UsageLog(store, clock, 60)
        await log.finish(make_entry("id-first"), 200)
        await asyncio.to_thread(store.asked.wait, 20)
        for number in range(10):
            await log.finish(make_entry(f"id-{number}"), 200)
        store.go.set()
        await asyncio.to_thread(log.close)
        assert len(store.page(ANY, 100)) == 4

    asyncio.run(scenario())


def test_a_running_stream_is_kept_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_log, "PROGRESS_S", 0.01)
    heard = 1.5
    seen = threading.Event()

    class Store(MemoryUsageStore):
        def put(self, records: Sequence[UsageRecord]) -> None:
            super().put(records)
            if any(record.audio_s == 7.5 for record in records):
                seen.set()

    async def scenario() -> None:
        nonlocal heard
        store = Store()
        log = UsageLog(store, clock, 60)
        entry = make_entry(method=Method.STREAMING)
        entry.note_stream(lambda: (heard, 2))
        await log.begin(entry)
        heard = 7.5
        assert await asyncio.to_thread(seen.wait, 20)
        record = store.get("id-1")
        assert record is not None
        assert (record.audio_s, record.channels, record.completed) == (7.5, 2, None)
        await log.finish(entry, 200)
        await asyncio.to_thread(log.close)
        finished = store.get("id-1")
        assert finished is not None
        assert finished.completed == NOW

    asyncio.run(scenario())


def test_a_request_that_answers_later_stays_unfinished_unless_it_was_refused() -> None:
    async def scenario() -> None:
        store = MemoryUsageStore()
        log = UsageLog(store, clock, 60)
        await log.finish(make_entry("accepted", answers_later=True), 200)
        await log.finish(make_entry("refused", answers_later=True), 400)
        log.close()
        codes = {record.request_id: record.code for record in store.page(ANY, 10)}
        assert codes == {"accepted": None, "refused": 400}

    asyncio.run(scenario())


def test_old_requests_are_forgotten() -> None:
    async def scenario() -> None:
        store = MemoryUsageStore()
        old = UsageRecord("old", NOW - timedelta(seconds=61), "/v1/listen", Method.SYNC)
        store.put([old])
        log = UsageLog(store, clock, 60)
        await log.finish(make_entry(), 200)
        log.close()
        assert [record.request_id for record in store.page(ANY, 10)] == ["id-1"]

    asyncio.run(scenario())
