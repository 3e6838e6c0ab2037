"""Accepting jobs: what is on the disk when, and what is refused."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from pathlib import Path

import pytest

from app.domain.errors import Overloaded, Unavailable
from app.domain.jobs import Callback, JobLimits, JobState, Outcome
from app.services.jobs import JobRequest, Jobs
from app.storage.spool import FolderSpool
from tests.support.memory_jobs import MemoryJobStore

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)


def make(folder: Path, limits: JobLimits | None = None) -> Jobs:
    return Jobs(MemoryJobStore(), FolderSpool(folder), limits or JobLimits(10, 1000, 2), lambda: NOW)


def asked(job_id: str = "job-1") -> JobRequest:
    return JobRequest(job_id, "key", NOW, "punctuate=true", Callback("https://example.com/"))


async def receive(jobs: Jobs, job_id: str = "job-1", data: bytes = b"sound") -> None:
    async with jobs.receiving(job_id) as file:
        file.write(data)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_accepted_job_is_queued_and_due(tmp_path: Path) -> None:
    jobs = make(tmp_path)
    asyncio.run(receive(jobs))
    jobs.accept(asked(), audio_bytes=5)
    job = jobs.find("job-1")
    assert (job.state, job.due, job.audio_bytes, job.attempts) == (JobState.QUEUED, NOW, 5, 0)
    assert names(tmp_path) == ["job-1"]


def test_a_body_that_was_a_url_is_no_audio(tmp_path: Path) -> None:
    jobs = make(tmp_path)
    asyncio.run(receive(jobs, data=b'{"url": "https://example.com/a.wav"}'))
    jobs.accept(asked(), audio_url="https://example.com/a.wav")
    assert names(tmp_path) == []


def test_a_job_that_cannot_be_kept_leaves_no_audio(tmp_path: Path) -> None:
    jobs = make(tmp_path, JobLimits(10, 4))
    asyncio.run(receive(jobs))
    with pytest.raises(Overloaded):
        jobs.accept(asked(), audio_bytes=5)
    assert names(tmp_path) == []


def test_a_store_that_is_away_leaves_no_audio(tmp_path: Path) -> None:
    jobs = make(tmp_path)
    asyncio.run(receive(jobs))
    jobs.store.is_down = True  # type: ignore[attr-defined]
    with pytest.raises(Unavailable):
        jobs.accept(asked(), audio_bytes=5)
    assert names(tmp_path) == []


def test_failed_jobs_give_way_where_the_room_of_their_audio_is_needed(tmp_path: Path) -> None:
    jobs = make(tmp_path, JobLimits(10, 10))
    for job_id in ("failed-1", "failed-2"):
        asyncio.run(receive(jobs, job_id))
        jobs.accept(asked(job_id), audio_bytes=5)
        jobs.store.claim_recognition("w", NOW, NOW)
        jobs.store.conclude("w", job_id, Outcome(b"", "", "bad_audio"), NOW)
        jobs.store.claim_delivery("w", NOW, NOW)
        jobs.store.finish("w", job_id, NOW, "bad_audio")
    asyncio.run(receive(jobs))
    jobs.accept(asked(), audio_bytes=5)
    assert names(tmp_path) == ["failed-2", "job-1"]
    assert [job.job_id for job in jobs.list()] == ["failed-2", "job-1"]


def test_no_more_is_received_at_a_time_than_allowed(tmp_path: Path) -> None:
    async def run() -> None:
        jobs = make(tmp_path)
        async with jobs.receiving("job-1"), jobs.receiving("job-2"):
            with pytest.raises(Overloaded):
                await receive(jobs, "job-3")
        await receive(jobs, "job-3")

    asyncio.run(run())
    assert names(tmp_path) == ["job-1", "job-2", "job-3"]


def test_what_was_not_received_to_its_end_leaves_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        jobs = make(tmp_path)
        async with jobs.receiving("job-1") as file:
            file.write(b"half")
            raise Overloaded

    with pytest.raises(Overloaded):
        asyncio.run(run())
    assert names(tmp_path) == []


def test_a_full_disk_is_told_without_its_path(tmp_path: Path) -> None:
    async def run() -> None:
        async with make(tmp_path).receiving("job-1"):
            raise OSError(28, "No space left on device", str(tmp_path))

    with pytest.raises(Unavailable) as refusal:
        asyncio.run(run())
    assert str(tmp_path) not in refusal.value.message
    assert names(tmp_path) == []
