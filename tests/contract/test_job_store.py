"""What every ``JobStore`` does, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from app.domain.jobs import UNDELIVERABLE, Callback, Job, JobLimits, JobState, JobStore, Outcome
from app.storage.database import open_database
from app.storage.jobs import SqlJobStore
from app.storage.migrate import upgrade
from tests.support.memory_jobs import MemoryJobStore

NOW = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=timezone.utc)
PLENTY = JobLimits(1000, 10**12)
URL = "https://user:hunter2@example.com:8443/hook?token=hunter2"
TRANSCRIPT = Outcome(b'{"results": {}}', "application/json")
ERROR = Outcome(b'{"err_code": "x"}', "application/json", "bad_audio")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def make_job(job_id: str = "job-1", **changes: Any) -> Job:
    callback = Callback(URL, "PUT")
    job = Job(job_id, "key-1", NOW, "punctuate=true", callback, "", 1000, JobState.QUEUED, NOW)
    return replace(job, **changes)


@pytest.fixture(params=["sql", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    if request.param == "memory":
        yield MemoryJobStore()
        return
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    upgrade(url)
    engine = open_database(url, durable=True)
    yield SqlJobStore(engine)
    engine.dispose()


def added(store: JobStore, *jobs: Job) -> None:
    for job in jobs:
        assert store.add(job, PLENTY)


def recognising(store: JobStore, worker: str = "a", seconds: float = 0) -> Job | None:
    return store.claim_recognition(worker, later(seconds), later(seconds + 10))


def delivering(store: JobStore, worker: str = "a", seconds: float = 0) -> Job | None:
    return store.claim_delivery(worker, later(seconds), later(seconds + 10))


def concluded(store: JobStore, outcome: Outcome = TRANSCRIPT) -> None:
    added(store, make_job())
    assert recognising(store)
    assert store.conclude("a", "job-1", outcome, NOW)


def found(store: JobStore, job_id: str = "job-1") -> Job:
    job = store.get(job_id)
    assert job is not None
    return job


class TestKeeping:
    def test_returns_a_job_with_every_field(self, store: JobStore) -> None:
        job = make_job(audio_url="https://example.com/a.wav", attempts=2, deliveries=3, problem="status 500", finished=NOW)
        added(store, job)
        assert store.get("job-1") == job
        assert store.get("job-2") is None

    def test_lists_jobs_oldest_first_and_counts_them_by_state(self, store: JobStore) -> None:
        assert list(store.all()) == []
        added(store, make_job("young", created=later(1)), make_job("old"), make_job("done", state=JobState.DONE))
        assert [job.job_id for job in store.all()] == ["done", "old", "young"]
        assert dict(store.counts()) == {JobState.QUEUED: 2, JobState.DONE: 1}

    def test_refuses_an_id_that_is_there(self, store: JobStore) -> None:
        added(store, make_job())
        with pytest.raises(ValueError, match="stored already"):
            store.add(make_job(), PLENTY)

    def test_takes_no_more_unfinished_jobs_than_allowed(self, store: JobStore) -> None:
        limits = JobLimits(2, 10**12)
        assert store.add(make_job("done", state=JobState.DONE), limits)
        assert store.add(make_job("job-1"), limits)
        assert store.has_room(limits)
        assert store.add(make_job("job-2"), limits)
        assert not store.has_room(limits)
        assert not store.add(make_job("job-3"), limits)
        assert store.get("job-3") is None

    def test_takes_no_more_audio_than_allowed(self, store: JobStore) -> None:
        limits = JobLimits(100, 2000)
        assert store.add(make_job("job-1"), limits)
        assert not store.add(make_job("job-2", audio_bytes=1001), limits)
        assert store.add(make_job("job-3", audio_bytes=1000), limits)

    def test_forgets_jobs_that_were_finished_long_ago(self, store: JobStore) -> None:
        added(
            store,
            make_job("old", state=JobState.FAILED, finished=NOW),
            make_job("new", state=JobState.DONE, finished=later(9)),
        )
        added(store, make_job("queued"))
        assert list(store.purge(later(9))) == ["old"]
        assert {job.job_id for job in store.all()} == {"new", "queued"}

    def test_failed_jobs_are_forgotten_from_the_oldest_on_until_there_is_room(self, store: JobStore) -> None:
        for age, name in enumerate(["newest", "middle", "oldest"]):
            added(store, make_job(name, state=JobState.FAILED, finished=later(-age)))
        added(store, make_job("by url", state=JobState.FAILED, finished=later(-9), audio_bytes=0), make_job("queued"))
        assert list(store.forget_failed(4000)) == []
        assert list(store.forget_failed(2999)) == ["oldest", "middle"]
        assert list(store.forget_failed(0)) == ["newest"]
        assert {job.job_id for job in store.all()} == {"by url", "queued"}

    def test_audio_counts_until_it_is_recognised(self, store: JobStore) -> None:
        concluded(store)
        assert found(store).audio_bytes == 0
        assert store.add(make_job("job-2", audio_bytes=1000), JobLimits(100, 1000))

    def test_audio_that_could_not_be_recognised_counts_on(self, store: JobStore) -> None:
        concluded(store, ERROR)
        assert found(store).audio_bytes == 1000

    def test_works_again_after_closing(self, store: JobStore) -> None:
        added(store, make_job())
        store.close()
        assert found(store) == make_job()


class TestRecognition:
    def test_the_job_that_has_been_due_longest_is_claimed_once(self, store: JobStore) -> None:
        added(store, make_job("second", due=later(-1)), make_job("first", due=later(-2)), make_job("future", due=later(1)))
        assert [getattr(recognising(store, worker), "job_id", None) for worker in "abc"] == ["first", "second", None]
        assert found(store, "first").state is JobState.RUNNING
        assert found(store, "first").attempts == 1

    def test_a_job_whose_worker_died_is_claimed_again_when_its_lease_is_over(self, store: JobStore) -> None:
        added(store, make_job())
        assert recognising(store, "dead")
        assert recognising(store, "b", 10) is None
        again = recognising(store, "b", 10.5)
        assert again is not None
        assert again.attempts == 2

    def test_a_lease_can_be_prolonged_by_its_holder_only(self, store: JobStore) -> None:
        added(store, make_job())
        assert recognising(store)
        assert store.extend("b", ["job-1"], later(99)) == frozenset()
        assert store.extend("a", ["job-1", "job-2"], later(20)) == {"job-1"}
        assert recognising(store, "b", 19) is None
        assert recognising(store, "b", 21) is not None
        assert store.extend("a", ["job-1"], later(50)) == frozenset()

    def test_a_released_job_is_queued_again_and_the_attempt_does_not_count(self, store: JobStore) -> None:
        added(store, make_job())
        assert recognising(store)
        assert not store.release("b", "job-1", NOW)
        assert store.release("a", "job-1", later(5))
        assert (found(store).state, found(store).attempts, found(store).due) == (JobState.QUEUED, 0, later(5))
        assert recognising(store, "b", 4) is None
        assert recognising(store, "b", 5) is not None

    def test_what_was_recognised_is_stored_and_due_for_whoever_comes(self, store: JobStore) -> None:
        concluded(store)
        assert recognising(store, "b", 100) is None
        job = delivering(store, "b")
        assert job is not None
        assert job.outcome == TRANSCRIPT
        assert (job.state, job.deliveries, job.callback) == (JobState.DELIVERING, 0, Callback(URL, "PUT"))

    def test_who_has_lost_a_job_changes_nothing(self, store: JobStore) -> None:
        added(store, make_job())
        assert recognising(store, "slow")
        assert recognising(store, "fast", 11)
        assert not store.conclude("slow", "job-1", ERROR, later(12))
        assert store.conclude("fast", "job-1", TRANSCRIPT, later(12))
        assert not store.conclude("fast", "job-1", ERROR, later(13))


class TestDelivery:
    def test_an_outcome_is_claimed_once_and_again_when_the_lease_is_over(self, store: JobStore) -> None:
        concluded(store)
        assert delivering(store)
        assert delivering(store, "b", 10) is None
        assert delivering(store, "b", 11) is not None
        assert not store.finish("a", "job-1", later(12))

    def test_a_failed_delivery_is_due_later(self, store: JobStore) -> None:
        concluded(store)
        assert delivering(store)
        assert store.postpone("a", "job-1", later(30), "status 500")
        assert (found(store).deliveries, found(store).problem) == (1, "status 500")
        assert delivering(store, "b", 29) is None
        job = delivering(store, "b", 30)
        assert job is not None
        assert job.outcome == TRANSCRIPT

    def test_a_done_job_forgets_what_it_was_about(self, store: JobStore) -> None:
        concluded(store)
        assert delivering(store)
        assert store.finish("a", "job-1", later(5))
        job = found(store)
        assert (job.state, job.finished, job.problem) == (JobState.DONE, later(5), "")
        assert (job.request, job.audio_url, job.audio_bytes) == ("", "", 0)
        assert job.callback.url == "https://example.com"
        assert delivering(store, "b", 100) is None

    def test_a_failed_job_says_why(self, store: JobStore) -> None:
        concluded(store, ERROR)
        assert delivering(store)
        assert store.finish("a", "job-1", later(5), "bad_audio")
        assert (found(store).state, found(store).problem) == (JobState.FAILED, "bad_audio")


class TestCancelling:
    def test_ends_a_job_whoever_holds_it(self, store: JobStore) -> None:
        added(store, make_job(audio_url="https://example.com/a.wav"))
        assert recognising(store)
        assert store.cancel("job-1", later(5))
        job = found(store)
        assert (job.state, job.finished, job.request, job.audio_url) == (JobState.CANCELLED, later(5), "", "")
        assert job.callback.url == "https://example.com"
        assert store.extend("a", ["job-1"], later(50)) == frozenset()
        assert not store.conclude("a", "job-1", TRANSCRIPT, later(6))
        assert recognising(store, "b", 100) is None

    def test_an_outcome_that_waits_is_not_delivered_any_more(self, store: JobStore) -> None:
        concluded(store)
        assert store.cancel("job-1", later(5))
        assert delivering(store, "b", 100) is None

    def test_a_finished_or_unknown_job_cannot_be_cancelled(self, store: JobStore) -> None:
        added(store, make_job())
        assert store.cancel("job-1", NOW)
        assert not store.cancel("job-1", NOW)
        assert not store.cancel("job-2", NOW)


class TestRetrying:
    def test_a_transcript_that_never_arrived_is_delivered_again(self, store: JobStore) -> None:
        concluded(store)
        assert delivering(store)
        assert store.postpone("a", "job-1", NOW, "status 500")
        assert delivering(store)
        assert store.finish("a", "job-1", NOW, UNDELIVERABLE)
        assert store.retry("job-1", later(5))
        job = delivering(store, "b", 5)
        assert job is not None
        assert (job.outcome, job.deliveries, job.problem, job.finished) == (TRANSCRIPT, 0, "", None)
        assert job.callback.url == URL

    @pytest.mark.parametrize("problem", ["bad_audio", UNDELIVERABLE])
    def test_after_an_error_the_audio_is_recognised_again(self, store: JobStore, problem: str) -> None:
        concluded(store, ERROR)
        assert delivering(store)
        assert store.finish("a", "job-1", NOW, problem)
        assert store.retry("job-1", later(5))
        job = recognising(store, "b", 5)
        assert job is not None
        assert (job.outcome, job.attempts, job.request) == (None, 1, "punctuate=true")

    def test_a_job_that_waits_for_its_next_delivery_need_not_wait(self, store: JobStore) -> None:
        concluded(store)
        assert delivering(store)
        assert not store.retry("job-1", NOW)
        assert store.postpone("a", "job-1", later(1000), "status 500")
        assert store.retry("job-1", later(5))
        assert delivering(store, "b", 5) is not None

    def test_there_is_nothing_to_retry_in_other_jobs(self, store: JobStore) -> None:
        added(store, make_job("queued"), make_job("done", state=JobState.DONE, finished=NOW))
        assert store.cancel("queued", NOW)
        assert not store.retry("queued", NOW)
        assert not store.retry("done", NOW)
        assert not store.retry("unknown", NOW)


def test_the_file_keeps_nothing_of_a_done_job(tmp_path: Path) -> None:
    """Not in the pages that SQLite has freed either."""
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    upgrade(url)
    engine = open_database(url, durable=True)
    store = SqlJobStore(engine)
    concluded(store, Outcome(b"the quick brown fox " * 1000, "application/json"))
    assert delivering(store)
    assert store.finish("a", "job-1", NOW)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    kept = (tmp_path / "jobs.db").read_bytes()
    assert b"example.com" in kept
    assert b"brown fox" not in kept
    assert b"hunter2" not in kept
