"""Runs accepted jobs in the background: recognises each once, stores what came of it, and delivers that until it arrives.

Jobs are claimed from the store with a lease that this runner prolongs while it works. A server that dies stops prolonging,
so another one, or the same one started again, takes its jobs over; nobody else can meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from anyio import to_thread

from app.domain.errors import EngineFailed, Overloaded, Unavailable
from app.domain.jobs import UNDELIVERABLE, Job, JobState, Outcome
from app.domain.ports import Deliverer, DeliveryFailed
from app.services.job_recognition import JobEdge, Recognition
from app.services.jobs import Jobs
from app.telemetry import logger

BUSY_S = 2.0
"""Seconds until a job that found no permit is tried again, and a store that could not be reached."""

SWEEP_S = 3600.0
"""Seconds between two searches for old jobs, and for files that belong to none."""

_log = logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobRules:
    """How jobs are run.

    ``parallel`` recognitions at a time, each begun at most ``attempts`` times; ``deliveries`` at a time, each repeated at
    most ``retries`` times every ``retry_s`` seconds. A lease lasts ``lease_s``; the store is looked at every ``poll_s``.
    Finished jobs are kept ``keep_s``, files that no job knows ``orphan_s`` (longer than an upload takes).
    """

    parallel: int = 1
    attempts: int = 3
    deliveries: int = 8
    retries: int = 10
    retry_s: float = 30.0
    lease_s: float = 15.0
    poll_s: float = 1.0
    keep_s: float = 7 * 86_400.0
    orphan_s: float = 7200.0


class JobRunner:
    """One per server process. ``start`` needs a running event loop; ``stop`` may be called any number of times."""

    def __init__(
        self,
        jobs: Jobs,
        recognition: Recognition,
        deliverer: Deliverer,
        rules: JobRules,
        clock: Callable[[], datetime],
    ) -> None:
        self._jobs = jobs
        self._store = jobs.store
        self._recognition = recognition
        self._deliverer = deliverer
        self._rules = rules
        self._clock = clock
        self._worker = str(uuid4())
        self._recognising: dict[str, asyncio.Task[None]] = {}
        self._delivering: dict[str, asyncio.Task[None]] = {}
        self._settling: set[asyncio.Task[Any] | None] = set()
        """Tasks that are about to give their jobs up by themselves."""
        self._wanted = asyncio.Event()
        self._is_stopping = False
        self._main: asyncio.Task[None] | None = None
        self._sweep_due = clock()

    def start(self, edge: JobEdge) -> None:
        """Begin. Jobs that were left behind are taken up as soon as their leases end."""
        self._main = asyncio.ensure_future(self._run(edge))

    def wake(self) -> None:
        """A job has come: look at once."""
        self._wanted.set()

    async def stop(self, timeout_s: float = 0.0) -> None:
        """Take no more. Recognitions end now and are queued again; deliveries that run get ``timeout_s`` seconds."""
        self._is_stopping = True
        self.wake()
        if self._main is not None:
            await asyncio.wait([self._main])
        await _end(self._recognising, 0.0)
        await _end(self._delivering, timeout_s)

    async def _run(self, edge: JobEdge) -> None:
        while not self._is_stopping:
            self._wanted.clear()
            try:
                await self._hold()
                await self._take(edge)
                await self._tidy()
            except Unavailable:
                _log.warning("the job store cannot be reached")
            except Exception:  # noqa: BLE001 - the jobs after this one must not wait for ever
                _log.exception("unexpected error between jobs")
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), self._rules.poll_s)

    async def _hold(self) -> None:
        """Prolong the leases of all that is worked on, and stop what was cancelled or lost meanwhile."""
        working = {**self._recognising, **self._delivering}
        if not working:
            return
        held = await to_thread.run_sync(self._store.extend, self._worker, tuple(working), self._in(self._rules.lease_s))
        for job_id in working.keys() - held:
            task = working[job_id]
            if task.done() or task in self._settling:
                continue
            _log.info("a job was taken away", job=job_id)
            task.cancel()
            await asyncio.wait([task])
            await self._forget_cancelled(job_id)

    async def _forget_cancelled(self, job_id: str) -> None:
        job = await to_thread.run_sync(self._store.get, job_id)
        if job is not None and job.state is JobState.CANCELLED:
            await self._remove_audio(job_id)

    async def _take(self, edge: JobEdge) -> None:
        rules = self._rules
        while len(self._recognising) < rules.parallel and (job := await self._claim(self._store.claim_recognition)):
            self._begin(self._recognising, job, self._recognise(job, edge))
        while len(self._delivering) < rules.deliveries and (job := await self._claim(self._store.claim_delivery)):
            self._begin(self._delivering, job, self._deliver(job, edge))

    async def _claim(self, claim: Callable[[str, datetime, datetime], Job | None]) -> Job | None:
        if self._is_stopping:
            return None
        return await to_thread.run_sync(claim, self._worker, self._clock(), self._in(self._rules.lease_s))

    def _begin(self, tasks: dict[str, asyncio.Task[None]], job: Job, work: Coroutine[Any, Any, None]) -> None:
        def forget(task: asyncio.Task[None]) -> None:
            if tasks.get(job.job_id) is task:  # it may have been claimed again already
                del tasks[job.job_id]
            self._settling.discard(task)
            self.wake()
            if not task.cancelled() and (error := task.exception()) is not None:
                # without the message: it could hold whatever an adapter put into it
                _log.error("unexpected error in a job", job=job.job_id, error=type(error).__name__)

        task = asyncio.ensure_future(work)
        tasks[job.job_id] = task
        task.add_done_callback(forget)

    async def _recognise(self, job: Job, edge: JobEdge) -> None:
        structlog.contextvars.bind_contextvars(request_id=job.job_id)
        try:
            outcome = await self._outcome(job, edge)
        except (Overloaded, Unavailable) as error:
            _log.debug("job has to wait", kind=error.kind.value)
            due = self._in(max(BUSY_S, error.retry_after_s))
            await self._settle(lambda: self._store.release(self._worker, job.job_id, due))
            return
        except asyncio.CancelledError:
            if self._is_stopping:
                with suppress(Unavailable):  # then the lease will end by itself
                    self._store.release(self._worker, job.job_id, self._clock())
            raise
        kept = await self._settle(lambda: self._store.conclude(self._worker, job.job_id, outcome, self._clock()))
        if kept and (job.audio_url or not outcome.problem):  # what was fetched can be fetched again
            await self._remove_audio(job.job_id)

    async def _outcome(self, job: Job, edge: JobEdge) -> Outcome:
        if job.attempts > self._rules.attempts:
            _log.error("job given up: the server died each time that it ran", attempts=job.attempts - 1)
            return edge.refusal(job, EngineFailed())
        return await self._recognition.run(job, edge)

    async def _deliver(self, job: Job, edge: JobEdge) -> None:
        structlog.contextvars.bind_contextvars(request_id=job.job_id)
        outcome = job.outcome or edge.refusal(job, EngineFailed())
        problem = await self._try(job, outcome, edge)
        if not problem:
            edge.count_delivery("delivered")
            await self._settle(lambda: self._store.finish(self._worker, job.job_id, self._clock(), outcome.problem))
        elif job.deliveries >= self._rules.retries:
            edge.count_delivery("given_up")
            _log.warning("callback given up", problem=problem, failures=job.deliveries + 1)
            await self._settle(lambda: self._store.finish(self._worker, job.job_id, self._clock(), UNDELIVERABLE))
        else:
            edge.count_delivery("failed")
            _log.info("callback failed", problem=problem, failures=job.deliveries + 1)
            due = self._in(self._rules.retry_s)
            await self._settle(lambda: self._store.postpone(self._worker, job.job_id, due, problem))

    async def _try(self, job: Job, outcome: Outcome, edge: JobEdge) -> str:
        """Deliver once. What went wrong, or an empty text."""
        try:
            await self._deliverer.deliver(job.callback, outcome.body, edge.headers(job, outcome))
        except DeliveryFailed as failure:
            return str(failure)
        except Exception as error:  # noqa: BLE001 - the delivery must be counted, or it would never be given up
            return type(error).__name__
        return ""

    async def _settle(self, change: Callable[[], T]) -> T:
        """Change the store, however long it cannot be reached: what was recognised must not be lost for that."""
        self._settling.add(asyncio.current_task())
        while True:
            try:
                return await to_thread.run_sync(change)
            except Unavailable:
                _log.warning("the job store cannot be reached")
            await asyncio.sleep(BUSY_S)

    async def _tidy(self) -> None:
        now = self._clock()
        if now < self._sweep_due:
            return
        self._sweep_due = self._in(SWEEP_S)
        await to_thread.run_sync(self._sweep, now)

    def _sweep(self, now: datetime) -> None:
        for job_id in self._store.purge(now - timedelta(seconds=self._rules.keep_s)):
            with suppress(OSError):
                self._jobs.spool.remove(job_id)
        gone = (JobState.DONE, JobState.CANCELLED)
        wanted = [job.job_id for job in self._store.all() if job.state not in gone]
        try:
            self._jobs.spool.sweep(wanted, now - timedelta(seconds=self._rules.orphan_s))
        except OSError as error:
            _log.warning("the folder of job audio could not be searched", error=type(error).__name__)

    async def _remove_audio(self, job_id: str) -> None:
        with suppress(OSError):  # the sweep finds it later
            await to_thread.run_sync(self._jobs.spool.remove, job_id)

    def _in(self, seconds: float) -> datetime:
        return self._clock() + timedelta(seconds=seconds)


async def _end(tasks: dict[str, asyncio.Task[None]], timeout_s: float) -> None:
    """Wait for the tasks, cancel those that take longer, and wait for these."""
    running = set(tasks.values())
    if running and timeout_s:
        _, running = await asyncio.wait(running, timeout=timeout_s)
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
