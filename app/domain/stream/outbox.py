"""What the machine has to say: events for the client, jobs for the engine, jobs that nobody needs any more."""

from __future__ import annotations

from dataclasses import replace

from app.domain.audio import Pcm16k
from app.domain.ports import JobClass
from app.domain.stream.events import DecodeJob, StreamEvent


class Outbox:
    """Shared by the channels of one stream. ``now`` is the wall clock of the item being received, in seconds."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._events: list[StreamEvent] = []
        self._jobs: list[DecodeJob] = []
        self._cancelled: list[int] = []
        self._decided: list[tuple[int, JobClass]] = []
        self._owners: dict[int, int] = {}
        self._last_job_id = 0

    def emit(self, event: StreamEvent) -> None:
        self._events.append(event)

    def ask(self, channel_index: int, pcm: Pcm16k, start_samples: int, job_class: JobClass) -> int:
        """Want a decode; returns its job id."""
        self._last_job_id += 1
        job_id = self._last_job_id
        self._owners[job_id] = channel_index
        self._jobs.append(DecodeJob(job_id, channel_index, pcm, start_samples, job_class))
        return job_id

    def decide(self, job_id: int, job_class: JobClass) -> None:
        """Say what a speculation has turned out to be: a final, or no more than an interim."""
        for position, job in enumerate(self._jobs):
            if job.job_id == job_id:
                self._jobs[position] = replace(job, job_class=job_class)
                return
        self._decided.append((job_id, job_class))

    def cancel(self, job_id: int) -> None:
        """Stop wanting it. A job that nobody has taken yet vanishes without a trace."""
        if self._owners.pop(job_id, None) is None:
            return
        kept = [job for job in self._jobs if job.job_id != job_id]
        if len(kept) == len(self._jobs):
            self._cancelled.append(job_id)
        self._jobs = kept

    def cancel_all(self) -> None:
        """Stop wanting anything."""
        for job_id in list(self._owners):
            self.cancel(job_id)

    def settle(self, job_id: int) -> int | None:
        """A job has come to its end: its channel, or None if nobody waits for it (late, duplicate, cancelled, unknown)."""
        return self._owners.pop(job_id, None)

    def take_events(self) -> list[StreamEvent]:
        taken, self._events = self._events, []
        return taken

    def take_jobs(self) -> list[DecodeJob]:
        taken, self._jobs = self._jobs, []
        return taken

    def take_decided(self) -> list[tuple[int, JobClass]]:
        taken, self._decided = self._decided, []
        return taken

    def take_cancelled(self) -> list[int]:
        taken, self._cancelled = self._cancelled, []
        return taken
