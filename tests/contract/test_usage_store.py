"""What every ``UsageStore`` does, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.usage import Method, UsageFilter, UsageRecord, UsageStore
from app.storage.database import open_database
from app.storage.migrate import upgrade
from app.storage.usage import SqlUsageStore
from tests.support.memory_usage import MemoryUsageStore

NOW = datetime(2026, 11, 20, 23, 30, 0, 123456, tzinfo=timezone.utc)
ANY = UsageFilter()


def make_record(request_id: str = "id-1", **changes: object) -> UsageRecord:
    whole = UsageRecord(
        request_id,
        NOW,
        "/v1/listen?model=nova-3",
        Method.SYNC,
        key_id="key-1",
        completed=NOW + timedelta(seconds=2),
        code=200,
        model="base",
        model_uuid="uuid-1",
        model_version="v1",
        language="en",
        channels=2,
        audio_s=10.25,
        features=("diarize", "punctuate"),
        tags=("a", "b\N{SNOWMAN}"),
    )
    return replace(whole, **changes)


@pytest.fixture(params=["sql", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UsageStore]:
    if request.param == "memory":
        yield MemoryUsageStore()
        return
    url = f"sqlite:///{tmp_path / 'usage.db'}"
    upgrade(url)
    engine = open_database(url)
    yield SqlUsageStore(engine)
    engine.dispose()


def ids(records: object) -> list[str]:
    return [record.request_id for record in records]  # type: ignore[attr-defined]


class TestUsageStore:
    def test_returns_a_record_with_every_field(self, store: UsageStore) -> None:
        store.put([make_record()])
        assert store.get("id-1") == make_record()
        assert store.get("id-2") is None

    def test_a_finished_record_replaces_an_unfinished_one_and_never_the_other_way_round(self, store: UsageStore) -> None:
        begun = make_record(completed=None, code=None, audio_s=1.0)
        store.put([begun])
        assert store.get("id-1") == begun
        store.put([replace(begun, audio_s=5.0)])
        assert store.get("id-1") == replace(begun, audio_s=5.0)
        store.put([make_record()])
        store.put([replace(begun, audio_s=7.0), make_record("id-2")])
        assert store.get("id-1") == make_record()
        assert store.get("id-2") == make_record("id-2")

    def test_the_last_finished_one_of_several_in_one_call_counts(self, store: UsageStore) -> None:
        begun = make_record(completed=None, code=None)
        store.put([begun, make_record(code=500), make_record(code=201), begun])
        found = store.get("id-1")
        assert found is not None
        assert found.code == 201

    def test_putting_nothing_changes_nothing(self, store: UsageStore) -> None:
        store.put([])
        assert list(store.page(ANY, 10)) == []

    def test_pages_come_newest_first(self, store: UsageStore) -> None:
        store.put([make_record(f"id-{number}", created=NOW + timedelta(seconds=number)) for number in range(5)])
        assert ids(store.page(ANY, 2)) == ["id-4", "id-3"]
        assert ids(store.page(ANY, 2, 2)) == ["id-2", "id-1"]
        assert ids(store.page(ANY, 2, 6)) == []

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (UsageFilter(start=NOW), ["id-2", "id-1"]),
            (UsageFilter(end=NOW), ["id-0"]),
            (UsageFilter(start=NOW, end=NOW + timedelta(microseconds=1)), ["id-1"]),
            (UsageFilter(key_id="key-2"), ["id-2"]),
            (UsageFilter(request_id="id-1"), ["id-1"]),
            (UsageFilter(method=Method.STREAMING), ["id-0"]),
            (UsageFilter(succeeded=True), ["id-0"]),
            (UsageFilter(succeeded=False), ["id-1"]),
        ],
    )
    def test_a_filter_chooses(self, store: UsageStore, wanted: UsageFilter, found: list[str]) -> None:
        store.put(
            [
                make_record("id-0", created=NOW - timedelta(days=1), method=Method.STREAMING),
                make_record("id-1", code=400),
                make_record("id-2", created=NOW + timedelta(hours=1), key_id="key-2", code=None, completed=None),
            ]
        )
        assert ids(store.page(wanted, 10)) == found
        assert sum(cell.requests for cell in store.cells(wanted)) == len(found)

    def test_cells_sum_what_is_alike_on_one_utc_day(self, store: UsageStore) -> None:
        east = timezone(timedelta(hours=5))
        store.put(
            [
                make_record("id-1"),
                make_record("id-2", code=503, audio_s=0.25, channels=1, created=NOW.astimezone(east)),
                make_record("id-3", created=NOW + timedelta(hours=1)),
                make_record("id-4", tags=()),
            ]
        )
        cells = {(cell.day, cell.tags): cell for cell in store.cells(ANY)}
        assert set(cells) == {
            ("2026-11-20", ("a", "b\N{SNOWMAN}")),
            ("2026-11-21", ("a", "b\N{SNOWMAN}")),
            ("2026-11-20", ()),
        }
        both = cells["2026-11-20", ("a", "b\N{SNOWMAN}")]
        assert (both.requests, both.failed, both.audio_s, both.channel_s) == (2, 1, 10.5, 20.75)
        assert (both.key_id, both.method, both.model, both.features) == (
            "key-1",
            Method.SYNC,
            "base",
            ("diarize", "punctuate"),
        )

    def test_purges_what_came_before(self, store: UsageStore) -> None:
        store.put([make_record("old", created=NOW - timedelta(seconds=1)), make_record("new")])
        assert store.purge(NOW) == 1
        assert ids(store.page(ANY, 10)) == ["new"]

    def test_can_be_used_again_after_closing(self, store: UsageStore) -> None:
        store.put([make_record()])
        store.close()
        assert store.get("id-1") is not None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 100)), max_size=5),
        max_size=8,
    )
)
def test_both_stores_agree_whatever_is_put_in_whatever_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, bool, int]]]
) -> None:
    url = f"sqlite:///{tmp_path_factory.mktemp('usage') / 'usage.db'}"
    upgrade(url)
    stores: list[UsageStore] = [SqlUsageStore(open_database(url)), MemoryUsageStore()]
    for batch in batches:
        records = [
            make_record(
                f"id-{number}", audio_s=float(audio_s), completed=NOW if is_over else None, code=200 if is_over else None
            )
            for number, is_over, audio_s in batch
        ]
        for each in stores:
            each.put(records)
    first, second = ([each.get(f"id-{number}") for number in range(5)] for each in stores)
    assert first == second
    sums = [sum(cell.audio_s for cell in each.cells(ANY)) for each in stores]
    assert sums[0] == sums[1] == sum(record.audio_s for record in first if record is not None)
    for each in stores:
        each.close()
