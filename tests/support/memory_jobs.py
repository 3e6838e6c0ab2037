"""A job store in memory, for tests of whatever stands on the ``JobStore`` port."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from app.domain.errors import Unavailable
from app.domain.jobs import FINISHED, UNDELIVERABLE, Callback, Job, JobLimits, JobState, Outcome


class MemoryJobStore:
    """``JobStore`` in a dictionary. ``is_down`` makes every call fail as an unreachable database does; ``claims`` counts
    the times that anybody looked for work."""

    def __init__(self) -> None:
        self.is_down = False
        self.claims = 0
        self._jobs: dict[str, Job] = {}
        self._holders: dict[str, tuple[str, datetime]] = {}
        self._lock = threading.RLock()

    def add(self, job: Job, limits: JobLimits) -> bool:
        with self._lock:
            self._check()
            if job.job_id in self._jobs:
                raise ValueError("this job is stored already")
            if not self._has_room(limits, job.audio_bytes):
                return False
            self._jobs[job.job_id] = job
            return True

    def has_room(self, limits: JobLimits) -> bool:
        with self._lock:
            self._check()
            return self._has_room(limits, 0)

    def claim_recognition(self, worker: str, now: datetime, until: datetime) -> Job | None:
        def is_due(job: Job) -> bool:
            if job.state is JobState.RUNNING:
                return self._holders[job.job_id][1] < now
            return job.state is JobState.QUEUED and job.due <= now

        with self._lock:
            job = self._claim(is_due, worker, until)
            return job and self._set(job, state=JobState.RUNNING, attempts=job.attempts + 1)

    def claim_delivery(self, worker: str, now: datetime, until: datetime) -> Job | None:
        def is_due(job: Job) -> bool:
            holder = self._holders.get(job.job_id)
            return job.state is JobState.DELIVERING and job.due <= now and (holder is None or holder[1] < now)

        with self._lock:
            return self._claim(is_due, worker, until)

    def extend(self, worker: str, job_ids: Collection[str], until: datetime) -> frozenset[str]:
        with self._lock:
            self._check()
            mine = [job_id for job_id in job_ids if self._holders.get(job_id, ("",))[0] == worker]
            self._holders |= dict.fromkeys(mine, (worker, until))
            return frozenset(mine)

    def release(self, worker: str, job_id: str, due: datetime) -> bool:
        return self._change(
            worker,
            job_id,
            JobState.RUNNING,
            lambda job: {"state": JobState.QUEUED, "due": due, "attempts": job.attempts - 1},
        )

    def conclude(self, worker: str, job_id: str, outcome: Outcome, now: datetime) -> bool:
        def concluded(job: Job) -> dict[str, Any]:
            held = job.audio_bytes if outcome.problem else 0
            return {
                "state": JobState.DELIVERING,
                "due": now,
                "deliveries": 0,
                "outcome": outcome,
                "audio_bytes": held,
            }

        return self._change(worker, job_id, JobState.RUNNING, concluded)

    def postpone(self, worker: str, job_id: str, due: datetime, problem: str) -> bool:
        return self._change(
            worker,
            job_id,
            JobState.DELIVERING,
            lambda job: {"due": due, "problem": problem, "deliveries": job.deliveries + 1},
        )

    def finish(self, worker: str, job_id: str, now: datetime, problem: str = "") -> bool:
        def finished(job: Job) -> dict[str, Any]:
            state = JobState.FAILED if problem else JobState.DONE
            forgotten = {} if problem else _forgotten(job)
            kept = job.outcome if problem == UNDELIVERABLE else None
            tries = job.deliveries + (problem == UNDELIVERABLE)
            ended = {"state": state, "finished": now, "problem": problem, "outcome": kept, "deliveries": tries}
            return {**ended, **forgotten}

        return self._change(worker, job_id, JobState.DELIVERING, finished)

    def cancel(self, job_id: str, now: datetime) -> bool:
        with self._lock:
            self._check()
            job = self._jobs.get(job_id)
            if job is None or job.state in FINISHED:
                return False
            self._holders.pop(job_id, None)
            self._set(job, state=JobState.CANCELLED, finished=now, outcome=None, **_forgotten(job))
            return True

    def retry(self, job_id: str, now: datetime) -> bool:
        with self._lock:
            self._check()
            job = self._jobs.get(job_id)
            waits = job is not None and job.state is JobState.DELIVERING and job_id not in self._holders
            if job is None or not (waits or job.state is JobState.FAILED):
                return False
            kept = job.outcome if job.outcome is not None and not job.outcome.problem else None
            state = JobState.QUEUED if kept is None else JobState.DELIVERING
            again = {"due": now, "attempts": 0, "deliveries": 0, "problem": "", "finished": None}
            self._set(job, state=state, outcome=kept, **again)
            return True

    def get(self, job_id: str) -> Job | None:
        with self._lock:
            self._check()
            job = self._jobs.get(job_id)
            return job and replace(job, outcome=None)

    def all(self) -> Sequence[Job]:
        with self._lock:
            self._check()
            ordered = sorted(self._jobs.values(), key=lambda job: (job.created, job.job_id))
            return [replace(job, outcome=None) for job in ordered]

    def counts(self) -> Mapping[JobState, int]:
        return Counter(job.state for job in self.all())

    def purge(self, before: datetime) -> Sequence[str]:
        with self._lock:
            self._check()
            old = [job.job_id for job in self._jobs.values() if job.finished is not None and job.finished < before]
            for job_id in old:
                del self._jobs[job_id]
            return old

    def forget_failed(self, most_bytes: int) -> Sequence[str]:
        with self._lock:
            self._check()
            failed = [job for job in self._jobs.values() if job.state is JobState.FAILED and job.audio_bytes]
            gone = []
            for job in sorted(failed, key=lambda job: (job.finished or job.created, job.job_id)):
                if sum(held.audio_bytes for held in self._jobs.values()) <= most_bytes:
                    break
                gone.append(job.job_id)
                del self._jobs[job.job_id]
            return gone

    def close(self) -> None:
        """Nothing is held open."""

    def hand_over(self, job_id: str, worker: str, until: datetime) -> None:
        """Let another worker hold the job, as if it had waited for the end of the lease."""
        self._holders[job_id] = (worker, until)

    def _check(self) -> None:
        if self.is_down:
            raise Unavailable("The job store cannot be reached.")

    def _has_room(self, limits: JobLimits, audio_bytes: int) -> bool:
        unfinished = [job for job in self._jobs.values() if job.state not in FINISHED]
        held = sum(job.audio_bytes for job in unfinished)
        return len(unfinished) < limits.max_jobs and held + audio_bytes <= limits.max_bytes

    def _claim(self, is_due: Callable[[Job], bool], worker: str, until: datetime) -> Job | None:
        self._check()
        self.claims += 1
        job = min(filter(is_due, self._jobs.values()), key=lambda job: (job.due, job.job_id), default=None)
        if job is not None:
            self._holders[job.job_id] = (worker, until)
        return job

    def _change(self, worker: str, job_id: str, state: JobState, changes: Callable[[Job], dict[str, Any]]) -> bool:
        with self._lock:
            self._check()
            job = self._jobs.get(job_id)
            if job is None or job.state is not state or self._holders.get(job_id, ("",))[0] != worker:
                return False
            del self._holders[job_id]
            self._set(job, **changes(job))
            return True

    def _set(self, job: Job, **changes: Any) -> Job:
        self._jobs[job.job_id] = changed = replace(job, **changes)
        return changed


def _forgotten(job: Job) -> dict[str, Any]:
    parts = urlsplit(job.callback.url)
    callback = Callback(f"{parts.scheme}://{parts.hostname}", job.callback.method)
    return {"request": "", "audio_url": "", "audio_bytes": 0, "callback": callback}
