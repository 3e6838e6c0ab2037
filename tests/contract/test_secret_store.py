"""What every ``SecretStore`` does, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from app.domain.tokens import SecretStore, SigningSecret
from app.storage.database import open_database
from app.storage.migrate import upgrade
from app.storage.secrets import SqlSecretStore
from tests.support.memory_usage import MemorySecretStore
from tests.support.racing import race

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)


def make_secret(secret_id: str, made_s: float = 0.0) -> SigningSecret:
    return SigningSecret(secret_id, secret_id * 8, NOW + timedelta(seconds=made_s))


@pytest.fixture(params=["sql", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecretStore]:
    if request.param == "memory":
        yield MemorySecretStore()
        return
    url = f"sqlite:///{tmp_path / 'secrets.db'}"
    upgrade(url)
    engine = open_database(url)
    yield SqlSecretStore(engine)
    engine.dispose()


class TestSecretStore:
    def test_the_first_candidate_stays_in_use(self, store: SecretStore) -> None:
        assert store.current(make_secret("one")) == make_secret("one")
        assert store.current(make_secret("two")) == make_secret("one")
        assert store.get("one") == make_secret("one")
        assert store.get("two") is None

    def test_a_successor_takes_over_and_the_old_one_retires_then(self, store: SecretStore) -> None:
        store.current(make_secret("one"))
        until = NOW + timedelta(hours=1)
        store.replace(make_secret("two", 1), until)
        assert store.current(make_secret("three")) == make_secret("two", 1)
        old = store.get("one")
        assert old is not None
        assert old.retires == until

    def test_what_retires_keeps_its_end_when_another_one_follows(self, store: SecretStore) -> None:
        store.current(make_secret("one"))
        until = NOW + timedelta(hours=1)
        store.replace(make_secret("two", 1), until)
        store.replace(make_secret("three", 2), NOW + timedelta(hours=2))
        old = store.get("one")
        assert old is not None
        assert old.retires == until

    def test_retired_secrets_are_forgotten_at_the_next_change(self, store: SecretStore) -> None:
        store.current(make_secret("one"))
        store.replace(make_secret("two", 1), NOW + timedelta(seconds=2))
        store.replace(make_secret("three", 3), NOW + timedelta(seconds=3))
        assert store.get("one") is None
        assert store.get("two") is not None

    def test_a_secret_shows_itself_in_no_text(self) -> None:
        assert "oneone" not in repr(make_secret("one"))


def test_processes_that_start_together_agree_on_one_secret(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'secrets.db'}"
    upgrade(url)
    preparation = (
        "from datetime import datetime, timezone\nfrom uuid import uuid4\n"
        "from app.domain.tokens import SigningSecret\nfrom app.storage.database import open_database\n"
        "from app.storage.secrets import SqlSecretStore\n"
        "candidate = SigningSecret(str(uuid4()), '00', datetime.now(timezone.utc))\n"
    )
    chosen = race(preparation, "print(SqlSecretStore(open_database(sys.argv[1])).current(candidate).secret_id)", url, 3)
    assert len(set(chosen)) == 1
