"""What an ended job leaves in the files of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Engine

from app.domain.jobs import Callback, Job, JobLimits, JobState, Outcome
from app.storage.database import BUSY_TIMEOUT_S, empty_log, open_database, reading
from app.storage.jobs import SqlJobStore
from app.storage.migrate import upgrade

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)
LEASE_END = NOW + timedelta(seconds=10)
LIMITS = JobLimits(10, 10**9)
SECRETS = (b"hunter2", b"prompt=Ms+Secret", b"what was said")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    upgrade(url)
    opened = open_database(url, durable=True)
    yield opened
    opened.dispose()


def left(folder: Path) -> list[bytes]:
    held = b"".join(path.read_bytes() for path in folder.iterdir())
    return [secret for secret in SECRETS if secret in held]


def transcribed(store: SqlJobStore, state: JobState = JobState.QUEUED) -> None:
    callback = Callback("https://user:hunter2@example.com/hook", "POST")
    assert store.add(Job("job", "key", NOW, "prompt=Ms+Secret", callback, "", 1000, state, NOW), LIMITS)
    assert store.claim_recognition("me", NOW, LEASE_END)
    assert store.conclude("me", "job", Outcome(b'{"transcript": "what was said"}', "application/json"), NOW)


def delivered(store: SqlJobStore) -> None:
    assert store.claim_delivery("me", NOW, LEASE_END)
    assert store.finish("me", "job", NOW)


def cancelled(store: SqlJobStore) -> None:
    assert store.cancel("job", NOW)


def undelivered_and_purged(store: SqlJobStore) -> None:
    assert store.claim_delivery("me", NOW, LEASE_END)
    assert store.finish("me", "job", NOW, "undeliverable")
    assert store.purge(LEASE_END) == ["job"]


@pytest.mark.parametrize("end", [delivered, cancelled, undelivered_and_purged])
def test_nothing_of_an_ended_job_is_on_the_disk(tmp_path: Path, engine: Engine, end: Callable[[SqlJobStore], None]) -> None:
    store = SqlJobStore(engine)
    transcribed(store)
    assert left(tmp_path) == list(SECRETS)
    end(store)
    assert left(tmp_path) == []


def test_the_log_stays_while_somebody_reads_and_goes_the_next_time(tmp_path: Path, engine: Engine) -> None:
    transcribed(SqlJobStore(engine))
    log = tmp_path / "jobs.db-wal"
    with reading(engine) as connection:
        connection.exec_driver_sql("SELECT * FROM jobs").all()
        empty_log(engine)
        assert log.stat().st_size > 0
    empty_log(engine)
    assert log.stat().st_size == 0
    with reading(engine) as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == BUSY_TIMEOUT_S * 1000
