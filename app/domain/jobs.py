"""Recordings that are answered later, by a callback: what is kept of each, and what has to keep it.

A job goes queued -> running -> delivering -> done or failed; ``cancelled`` from any of the first three. What was recognised
is stored before it is delivered, so that a crash in between costs no second recognition.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import BinaryIO, Protocol


class JobState(str, Enum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DELIVERING = "delivering"
    DONE = "done"
    """The transcript was delivered; nothing of it is kept."""
    FAILED = "failed"
    """An error was delivered, or nothing could be."""
    CANCELLED = "cancelled"


FINISHED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})

UNDELIVERABLE = "undeliverable"
"""``Job.problem`` of a job that failed because its callback did."""


@dataclass(frozen=True, slots=True)
class Callback:
    """Where an answer goes. ``url`` holds user and password where the client wrote them; ``method``: POST or PUT."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is delivered. ``problem`` is the kind of error that ``body`` tells of; empty: it holds the transcript."""

    body: bytes
    media_type: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One accepted recording. Times are aware UTC.

    ``request`` is what was asked, in the dialect's own form; ``audio_url`` names the audio where none was uploaded, else it
    is empty; ``audio_bytes`` are those of an upload that is still held. ``attempts`` counts the times its recognition was
    begun, ``deliveries`` the failed deliveries. ``problem`` says what went wrong last, in words that hold nothing of the
    client's. ``outcome`` is there from the end of recognition to the delivery. Of a finished job ``callback.url`` keeps
    scheme and host only, unless it may be tried again.
    """

    job_id: str
    key_id: str
    created: datetime
    request: str
    callback: Callback
    audio_url: str
    audio_bytes: int
    state: JobState
    due: datetime
    attempts: int = 0
    deliveries: int = 0
    problem: str = ""
    finished: datetime | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Jobs that may be unfinished at a time, the bytes of audio that these may hold together, and uploads at a time."""

    max_jobs: int
    max_bytes: int
    max_uploads: int = 64


class JobStore(Protocol):
    """Jobs that outlive the process, shared by threads and processes. Blocking: call it in a thread.

    What a call has changed survives a power cut once the call has returned. A job is worked on by whoever claimed it, named
    by ``worker``, until the lease ends; calls that name a worker who does not hold the job (any more) change nothing and
    return False. All raise ``Unavailable`` when the store cannot be reached.
    """

    def add(self, job: Job, limits: JobLimits) -> bool:
        """Keep a new job. False: with it the limits would be passed. ``ValueError``: there is one of this id."""
        ...

    def has_room(self, limits: JobLimits) -> bool:
        """Whether a job without audio could be added."""
        ...

    def claim_recognition(self, worker: str, now: datetime, until: datetime) -> Job | None:
        """Take the job that has been due longest: a queued one, or a running one whose lease has ended. It is running
        until ``until`` and has one attempt more. None: nothing is due."""
        ...

    def claim_delivery(self, worker: str, now: datetime, until: datetime) -> Job | None:
        """The same for outcomes that are due."""
        ...

    def extend(self, worker: str, job_ids: Collection[str], until: datetime) -> frozenset[str]:
        """Prolong the leases of ``job_ids``; returns those that the worker still holds."""
        ...

    def release(self, worker: str, job_id: str, due: datetime) -> bool:
        """Queue a running job again, for ``due``, without counting the attempt."""
        ...

    def conclude(self, worker: str, job_id: str, outcome: Outcome, now: datetime) -> bool:
        """Store what recognition gave; its delivery is due at once, for whoever claims it. With a transcript, the audio
        counts no longer."""
        ...

    def postpone(self, worker: str, job_id: str, due: datetime, problem: str) -> bool:
        """Count a failed delivery; the next one is due at ``due``."""
        ...

    def finish(self, worker: str, job_id: str, now: datetime, problem: str = "") -> bool:
        """Delivering -> done, or failed with a ``problem``. A done job forgets what was asked, said and answered; an
        ``UNDELIVERABLE`` one has one failed delivery more."""
        ...

    def cancel(self, job_id: str, now: datetime) -> bool:
        """End a job whoever holds it and forget what it was about. False: there is none, or it is finished."""
        ...

    def retry(self, job_id: str, now: datetime) -> bool:
        """Make a failed job, or one that waits for its next delivery, due at once with all its tries.

        A transcript that could not be delivered is delivered again; after any other failure the audio is recognised again.
        False: there is none, or it is done, cancelled or being worked on.
        """
        ...

    def get(self, job_id: str) -> Job | None:
        """The job, without its outcome."""
        ...

    def all(self) -> Sequence[Job]:
        """Every job, oldest first, without the outcomes."""
        ...

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs are in each state that any is in."""
        ...

    def purge(self, before: datetime) -> Sequence[str]:
        """Forget the jobs that were finished before then; returns their ids."""
        ...

    def forget_failed(self, most_bytes: int) -> Sequence[str]:
        """Forget failed jobs that hold audio, the longest finished first, until all jobs together hold ``most_bytes`` or
        none of them is left; returns their ids."""
        ...

    def close(self) -> None:
        """Give back what is held open. A later call opens it again."""
        ...


class AudioSpool(Protocol):
    """Audio of accepted jobs, in files that outlive the process. Blocking: call it in a thread. Raises ``OSError``."""

    def create(self, job_id: str) -> AbstractContextManager[BinaryIO]:
        """A new file to write and read. When the context closes without an error, it is there for good: kill -9 or a power
        cut afterwards does not undo it. After an error nothing is left of it."""
        ...

    def open(self, job_id: str) -> BinaryIO:
        """The finished file, for reading. ``FileNotFoundError``: there is none."""
        ...

    def remove(self, job_id: str) -> None:
        """Delete the file, if it is there."""
        ...

    def sweep(self, wanted: Collection[str], older_than: datetime) -> int:
        """Delete files last written before then that belong to none of the jobs ``wanted``; returns how many."""
        ...
