"""Recordings that are answered later: accepting, looking at, cancelling and repeating them.

Who runs them is ``app/services/job_runner.py``; the command line uses this half alone, beside a running server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, TypeVar

from anyio import to_thread

from app.domain.errors import InvalidRequest, NotFound, Overloaded, Unavailable
from app.domain.jobs import AudioSpool, Callback, Job, JobLimits, JobState, JobStore
from app.telemetry import logger

RETRY_AFTER_S = 60.0
"""Seconds after which a client that found no room may ask again: jobs are long recordings, mostly."""

SHORTEST_REFERENCE = 4
"""Characters of an id that name a job, if only one begins with them."""

_log = logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a client asked for: ``request`` in the dialect's own form, ``key_id`` of whoever asked (empty: no keys)."""

    job_id: str
    key_id: str
    created: datetime
    request: str
    callback: Callback


class Jobs:
    """Every method but ``receiving`` blocks: call it in a thread."""

    def __init__(self, store: JobStore, spool: AudioSpool, limits: JobLimits, clock: Callable[[], datetime]) -> None:
        self.store = store
        self.spool = spool
        self._limits = limits
        self._clock = clock
        self._arriving = 0

    def check_room(self) -> None:
        """Before a body is read: raise ``Overloaded`` where no further job can be kept."""
        if not self.store.has_room(self._limits):
            raise Overloaded(retry_after_s=RETRY_AFTER_S)

    @asynccontextmanager
    async def receiving(self, job_id: str) -> AsyncIterator[BinaryIO]:
        """A file for the audio of a job to come. Once the context has closed it is on the disk for good.

        Raises ``Overloaded`` when too many are being received, ``Unavailable`` when the disk does not take it.
        """
        if self._arriving >= self._limits.max_uploads:
            raise Overloaded(retry_after_s=RETRY_AFTER_S)
        self._arriving += 1
        try:
            async with _in_thread(self.spool.create(job_id)) as file:
                yield file
        except OSError as error:
            _log.warning("the audio of a job could not be stored", error=type(error).__name__, code=error.errno)
            raise Unavailable("The audio cannot be stored now.", retry_after_s=RETRY_AFTER_S) from error
        finally:
            self._arriving -= 1

    def accept(self, asked: JobRequest, *, audio_bytes: int = 0, audio_url: str = "") -> None:
        """Keep the job, whose audio has been received or is named by ``audio_url``. Afterwards it may be promised.

        Failed jobs, whose audio is only kept for another try, are forgotten where this one needs their room. Raises
        ``Overloaded`` when there is none even so; the audio is gone then.
        """
        job = Job(
            job_id=asked.job_id,
            key_id=asked.key_id,
            created=asked.created,
            request=asked.request,
            callback=asked.callback,
            audio_url=audio_url,
            audio_bytes=audio_bytes,
            state=JobState.QUEUED,
            due=self._clock(),
        )
        if audio_url:
            self.spool.remove(job.job_id)  # what came was the URL
        is_kept = False
        try:
            is_kept = self.store.add(job, self._limits)
        finally:
            if not is_kept:
                self._remove_audio(job.job_id)
        if not is_kept:
            raise Overloaded(retry_after_s=RETRY_AFTER_S)
        with suppress(Unavailable):  # the job is kept; the next one makes the room
            for forgotten in self.store.forget_failed(self._limits.max_bytes):
                _log.warning("a failed job was forgotten for the room of its audio", job=forgotten)
                self._remove_audio(forgotten)

    def list(self) -> Sequence[Job]:
        """Every job, oldest first."""
        return self.store.all()

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs are in each state that any is in."""
        return self.store.counts()

    def find(self, reference: str) -> Job:
        """The job of this id, or the only one whose id begins so. Raises ``NotFound`` or ``InvalidRequest``."""
        exact = self.store.get(reference)
        if exact is not None:
            return exact
        matches = [job for job in self.store.all() if job.job_id.startswith(reference)]
        if len(reference) < SHORTEST_REFERENCE or not matches:
            raise NotFound("No job has this id.")
        if len(matches) > 1:
            raise InvalidRequest("Several jobs have ids that begin so; write more of it.")
        return matches[0]

    def cancel(self, reference: str) -> Job:
        """End a job now; a server that works on it stops within about a second. Raises ``InvalidRequest`` if it is over."""
        job = self.find(reference)
        if not self.store.cancel(job.job_id, self._clock()):
            raise InvalidRequest(f"The job is {self.find(job.job_id).state.value} already.")
        self._remove_audio(job.job_id)
        return self.find(job.job_id)

    def retry(self, reference: str) -> Job:
        """Run or deliver a failed job again, or one that waits for its next delivery now. Raises ``InvalidRequest``."""
        job = self.find(reference)
        if not self.store.retry(job.job_id, self._clock()):
            raise InvalidRequest(f"The job is {self.find(job.job_id).state.value}; there is nothing to try again.")
        return self.find(job.job_id)

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def _remove_audio(self, job_id: str) -> None:
        with suppress(OSError):  # a thread may still read it (Windows); the runner's sweep finds it later
            self.spool.remove(job_id)


@asynccontextmanager
async def _in_thread(context: AbstractContextManager[T]) -> AsyncIterator[T]:
    """``context``, entered and left in a thread: to write gigabytes to the disk for good takes seconds."""
    entered = await to_thread.run_sync(context.__enter__)
    try:
        yield entered
    except BaseException as error:
        context.__exit__(type(error), error, error.__traceback__)  # what failed is deleted, which takes no time
        raise
    await to_thread.run_sync(context.__exit__, None, None, None)
