"""What every ``KeyStore`` does, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from app.domain.ports import ApiKey, KeyStore
from app.storage.database import open_database
from app.storage.migrate import upgrade
from app.storage.stores import SqlKeyStore
from tests.support.memory_keys import MemoryKeyStore

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=timezone.utc)
HASH = "a1" * 32


def make_key(key_id: str = "id-1", **changes: object) -> ApiKey:
    return replace(ApiKey(key_id, "0123abcd", "laptop", ("member", "usage:write"), NOW), **changes)


@pytest.fixture(params=["sql", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyStore]:
    if request.param == "memory":
        yield MemoryKeyStore()
        return
    url = f"sqlite:///{tmp_path / 'keys.db'}"
    upgrade(url)
    engine = open_database(url)
    yield SqlKeyStore(engine)
    engine.dispose()


class TestKeyStore:
    def test_returns_a_key_by_hash_and_by_id_with_every_field(self, store: KeyStore) -> None:
        key = make_key(expires=NOW + timedelta(days=1), revoked=NOW + timedelta(hours=1), last_used=NOW)
        store.add(key, HASH)
        assert store.find(HASH) == key
        assert store.get(key.key_id) == key

    def test_times_come_back_aware_and_in_utc_whatever_zone_they_had(self, store: KeyStore) -> None:
        store.add(make_key(created=NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))), HASH)
        found = store.find(HASH)
        assert found is not None
        assert found.created == NOW
        assert found.created.utcoffset() == timedelta(0)

    def test_finds_nothing_for_an_unknown_hash_or_id(self, store: KeyStore) -> None:
        store.add(make_key(), HASH)
        assert store.find("b2" * 32) is None
        assert store.find(HASH.upper()) is None
        assert store.find(HASH[:-1]) is None
        assert store.find("") is None
        assert store.get("id-2") is None

    def test_refuses_a_hash_or_an_id_that_is_there(self, store: KeyStore) -> None:
        store.add(make_key("id-1"), HASH)
        with pytest.raises(ValueError, match="stored already"):
            store.add(make_key("id-2"), HASH)
        with pytest.raises(ValueError, match="stored already"):
            store.add(make_key("id-1"), "b2" * 32)
        assert [key.key_id for key in store.all()] == ["id-1"]

    def test_lists_all_keys_oldest_first(self, store: KeyStore) -> None:
        assert list(store.all()) == []
        store.add(make_key("young", created=NOW + timedelta(seconds=1)), "b2" * 32)
        store.add(make_key("old", revoked=NOW), HASH)
        assert [key.key_id for key in store.all()] == ["old", "young"]

    def test_adds_a_first_key_only_once(self, store: KeyStore) -> None:
        assert store.add_first(make_key("id-1"), HASH)
        assert not store.add_first(make_key("id-2"), "b2" * 32)
        assert [key.key_id for key in store.all()] == ["id-1"]

    def test_a_revoked_key_still_counts_as_one(self, store: KeyStore) -> None:
        store.add(make_key(revoked=NOW), HASH)
        assert not store.add_first(make_key("id-2"), "b2" * 32)

    def test_revokes_once_and_says_so(self, store: KeyStore) -> None:
        store.add(make_key(), HASH)
        assert store.revoke("id-1", NOW)
        assert not store.revoke("id-1", NOW)
        assert not store.revoke("id-1", NOW + timedelta(hours=1))
        assert not store.revoke("id-2", NOW)
        found = store.find(HASH)
        assert found is not None
        assert found.revoked == NOW

    def test_an_earlier_revocation_overrides_a_later_one(self, store: KeyStore) -> None:
        store.add(make_key(revoked=NOW + timedelta(hours=1)), HASH)
        assert store.revoke("id-1", NOW)
        found = store.get("id-1")
        assert found is not None
        assert found.revoked == NOW

    def test_replaces_a_key_by_its_successor(self, store: KeyStore) -> None:
        store.add(make_key(), HASH)
        later = NOW + timedelta(hours=1)
        assert store.replace("id-1", later, make_key("id-2"), "b2" * 32)
        assert store.find(HASH) == make_key(revoked=later)
        assert store.find("b2" * 32) == make_key("id-2")

    def test_replaces_only_a_key_that_is_there_and_not_revoked(self, store: KeyStore) -> None:
        store.add(make_key(revoked=NOW + timedelta(hours=1)), HASH)
        assert not store.replace("id-1", NOW, make_key("id-2"), "b2" * 32)
        assert not store.replace("id-9", NOW, make_key("id-2"), "b2" * 32)
        assert [key.key_id for key in store.all()] == ["id-1"]

    def test_a_replacement_that_cannot_be_added_leaves_the_old_key_alone(self, store: KeyStore) -> None:
        store.add(make_key(), HASH)
        with pytest.raises(ValueError, match="stored already"):
            store.replace("id-1", NOW, make_key("id-2"), HASH)
        assert list(store.all()) == [make_key()]

    def test_records_the_last_use_and_never_moves_it_back(self, store: KeyStore) -> None:
        store.add(make_key(), HASH)
        store.touch("id-1", NOW + timedelta(seconds=1))
        store.touch("id-1", NOW)
        store.touch("nobody", NOW)
        assert list(store.all()) == [make_key(last_used=NOW + timedelta(seconds=1))]

    def test_works_again_after_closing(self, store: KeyStore) -> None:
        store.add(make_key(), HASH)
        store.close()
        store.close()
        assert store.find(HASH) == make_key()
