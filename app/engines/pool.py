"""The workers of one model and the queue in front of them: permits, order, crashes, aborts."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from app.domain.audio import Pcm16k
from app.domain.core_shares import CoreShares
from app.domain.errors import ClientGone, EngineFailed, ErrorKind, Overloaded, SttError, Unavailable, UnsupportedModel
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, EngineCapabilities, EngineSession, JobClass, PoolStats
from app.domain.scheduling import Schedule, Ticket, first_to_give_way
from app.domain.transcript import Hypothesis, LanguageGuess
from app.engines import wire
from app.engines.cpu import FORKS, MAX_THREADS, plan_workers, usable_cores
from app.engines.crew import Crew, Slot
from app.engines.launchers import SpawningLauncher, start_nursery
from app.engines.workers import Launcher, WorkerSpec

MAX_DEATHS = 2
"""Workers a job may take with it before it is given up."""

RELIEFS = 1
"""Workers beyond those that decode at a time, where forking makes them cheap. A final that finds an interim in its way gets
one at once, and the interim's worker is killed. whisper.cpp cannot be stopped inside the encoder: to wait for a fork in its
place took 65 ms, and the first decode of a fork 40 to 80 ms more than later ones (base dimensions, two cores, 2026-11-20).
The price is the memory of one more decode's buffers, 30 MB at base dimensions. See decision 0014."""

NEWEST_WEIGHT = 0.2  # of the last decode in the moving mean that estimates waiting times
LONGEST_RETRY_S = 60.0
_NO_AUDIO = np.zeros(0, np.float32)


@dataclass(eq=False, slots=True)
class _Job:
    """One decode on its way. ``header`` and ``pcm`` are what the worker is sent, with the ``threads`` it may use now."""

    number: int
    header: wire.Header
    pcm: Pcm16k
    done: asyncio.Future[wire.Header]
    ticket: Ticket[_Job] | None = None
    slot: Slot | None = None
    threads: int = 0
    started: bool = False
    deaths: int = 0
    queue_s: float = 0.0


@dataclass(eq=False, slots=True)
class _Session:
    """Fulfils ``ports.EngineSession``."""

    pool: ProcessPool
    number: int
    jobs: set[_Job] = field(default_factory=set)
    closed: bool = False

    async def transcribe(self, pcm: Pcm16k, options: DecodeOptions, job_class: JobClass) -> Hypothesis:
        """See the port."""
        header = {"op": "transcribe", "options": wire.pack_options(options)}
        job, reply = await self.pool.run(self, header, pcm, job_class)
        hypothesis = wire.unpack_hypothesis(reply["hypothesis"])
        self.pool.count_decode(hypothesis.decode_s)
        return replace(hypothesis, queue_s=job.queue_s, retries=hypothesis.retries + job.deaths)

    async def detect_language(self, pcm: Pcm16k, among: tuple[str, ...], job_class: JobClass) -> tuple[LanguageGuess, ...]:
        """See the port."""
        _, reply = await self.pool.run(self, {"op": "detect", "among": among}, pcm, job_class)
        return wire.unpack_guesses(reply["guesses"])


class ProcessPool:
    """Fulfils ``ports.EnginePool`` with workers in processes of their own. Made by ``start``; belongs to one event loop."""

    def __init__(self, launcher: Launcher, shares: CoreShares, max_pending: int, reliefs: int = 0) -> None:
        self.workers = shares.workers
        self._shares = shares
        self.capabilities: EngineCapabilities
        self._launcher = launcher
        self._max_pending = max_pending
        self._schedule: Schedule[_Job] = Schedule()
        self._crew = Crew(
            launcher,
            shares.workers + reliefs,
            on_ready=self._on_ready,
            on_lost=self._on_lost,
            on_reply=self._on_reply,
            on_problem=self._on_problem,
        )
        self._running: dict[Slot, _Job] = {}
        self._numbers = itertools.count(1)
        self._stats = PoolStats()
        self._mean_decode_s = 0.0
        self._problem: Unavailable | None = None

    @classmethod
    async def start(
        cls,
        model: Path,
        *,
        workers: int = 0,
        threads: int = 0,
        use_gpu: bool = False,
        flash_attention: bool | None = None,
        max_pending: int = 64,
        fork: bool | None = None,
    ) -> ProcessPool:
        """Load the weights and start the workers; returns when all are ready.

        ``workers``, ``threads`` 0: from the usable cores, and with ``threads`` 0 a decode beside idle workers uses theirs.
        ``flash_attention`` None: on a GPU only. ``max_pending``: permits. ``fork``: whether workers share the weights (None:
        on Linux, unless on a GPU). Raises ``Unavailable`` with a sentence.
        """
        cores = usable_cores()
        plan = plan_workers(cores, workers, threads)
        spec = WorkerSpec(model, plan.threads, use_gpu, flash_attention)
        launcher: Launcher | None = None
        reliefs = 0
        if FORKS if fork is None else fork:
            launcher, reliefs = await start_nursery(spec), RELIEFS
        if launcher is None:
            plan = plan_workers(cores, workers, threads, gpu=use_gpu, shared=False)
            launcher, reliefs = SpawningLauncher(replace(spec, threads=plan.threads)), 0
        most = plan.threads if threads else max(plan.threads, min(MAX_THREADS, cores))
        shares = CoreShares(plan.workers, plan.threads, most)
        pool = cls(launcher, shares, max_pending, reliefs)
        try:
            ready = await pool._crew.start()
            pool.capabilities = wire.unpack_capabilities(ready["capabilities"])
        except BaseException:
            await pool.close()
            raise
        return pool

    def admit(self, *, live: bool = False) -> AbstractAsyncContextManager[EngineSession]:
        """See the port. The permit is held while the context is."""
        return self._permit(permits=0 if live else 1)

    @asynccontextmanager
    async def _permit(self, permits: int) -> AsyncIterator[EngineSession]:
        if self._problem is not None:
            raise Unavailable(self._problem.message)
        if permits and self._stats.admitted >= self._max_pending:
            raise Overloaded(retry_after_s=self._retry_after_s())
        session = _Session(self, next(self._numbers))
        self._stats.admitted += permits
        try:
            yield session
        finally:
            self._stats.admitted -= permits
            session.closed = True
            for job in list(session.jobs):
                _fail(job, ClientGone())

    def stats(self) -> PoolStats:
        """A snapshot."""
        return replace(
            self._stats,
            workers=min(self.workers, self._crew.alive),
            busy=sum(not slot.killed for slot in self._running),
            waiting=len(self._schedule),
            restarts=self._crew.restarts,
        )

    def worker_pids(self) -> tuple[int, ...]:
        """Process ids of the workers alive now, for memory metrics."""
        return tuple(slot.worker.pid for slot in self._crew.slots if slot.worker is not None)

    def process_ids(self) -> tuple[int, ...]:
        """Process ids of everything that the pool has started and that is alive: the workers, and who forks them."""
        return (*self._launcher.process_ids(), *self.worker_pids())

    async def close(self) -> None:
        """See the port. May be called again."""
        self._problem = Unavailable("The server is stopping.")
        for job in [ticket.job for ticket in self._schedule.drain()] + list(self._running.values()):
            _fail(job, self._problem)
        await self._crew.close()
        await self._launcher.close()

    async def run(
        self, session: _Session, header: wire.Header, pcm: Pcm16k, job_class: JobClass
    ) -> tuple[_Job, wire.Header]:
        """Queue a job of ``session`` and wait for its answer."""
        if session.closed:
            raise ClientGone
        if self._problem is not None:
            raise Unavailable(self._problem.message)
        if job_class is JobClass.SPECULATION:
            if self._schedule.urgent() or self._finals_hold_all():
                self._stats.shed += 1
                raise Aborted
            job_class = JobClass.FINAL
        number = next(self._numbers)
        samples = np.ascontiguousarray(pcm, dtype="<f4")
        job = _Job(number, {**header, "job": number}, samples, asyncio.get_running_loop().create_future())
        job.ticket = self._schedule.add(job, session.number, job_class, time.monotonic())
        session.jobs.add(job)
        self._make_room()
        self._dispatch()
        try:
            reply = _unwrap(await job.done)
        except SttError as error:
            self._stats.failed += not isinstance(error, ClientGone)
            raise
        else:
            self._stats.done += 1
            return job, reply
        finally:
            session.jobs.discard(job)
            self._abandon(job)
            # Jobs, tickets and errors refer to one another, and the collector of garbage does not see how large audio is:
            # an hour of speech sent at once took 100 MB.
            job.pcm, job.ticket = _NO_AUDIO, None

    def count_decode(self, decode_s: float) -> None:
        """Account for one finished decode."""
        self._stats.decode_s += decode_s
        weight = NEWEST_WEIGHT if self._mean_decode_s else 1.0
        self._mean_decode_s += (decode_s - self._mean_decode_s) * weight

    def _dispatch(self) -> None:
        now_s = time.monotonic()
        for old in self._schedule.expired(now_s):
            self._shed(old.job)
        free = [slot for slot in self._crew.slots if slot.worker is not None and slot not in self._running]
        while free and self._may_start():
            finals = self._schedule.urgent()
            starting = min(finals or len(self._schedule), self.workers - len(self._working()))
            threads = self._shares.for_decode(self._threads_used(), starting)
            ticket = self._schedule.take(now_s)
            if ticket is None:
                return
            # A worker that has decoded is faster, so interims, which finals may stop, get one that has not if there is one.
            is_interim = ticket.rank is JobClass.INTERIM
            slot = min(free, key=lambda slot: slot.answered is is_interim)
            free.remove(slot)
            self._start(slot, ticket.job, threads, now_s - ticket.since_s)

    def _working(self) -> list[_Job]:
        """The jobs that run. A worker that was told to die holds no place any more, even if its death is not seen yet."""
        return [job for slot, job in self._running.items() if not slot.killed]

    def _finals_hold_all(self) -> bool:
        finals = [job for job in self._working() if job.ticket is not None and job.ticket.rank <= JobClass.FINAL]
        return len(finals) >= self.workers

    def _threads_used(self) -> int:
        return sum(job.threads for job in self._working())

    def _may_start(self) -> bool:
        """Whether the next job may run now: as one of ``workers``, and a final in place of decodes nobody waits for.

        One final may run beside recordings on every worker, if a relief is there: their chunks take seconds, and it shares
        the cores with them for a fraction of one.
        """
        finals = self._schedule.urgent()
        if finals:
            for slot, job in list(self._running.items()):
                if job.done.done() and not slot.killed and self._is_short(finals):
                    self._kill(slot)
        working = self._working()
        places = self.workers + (finals > 0 and all(_is_recording(job) for job in working))
        return len(working) < places and self._shares.may_start(self._threads_used(), urgent=finals > 0)

    def _is_short(self, finals: int) -> bool:
        """Whether ``finals`` lack a place or threads for now; jobs that nobody waits for still count as working."""
        working = self._working()
        places = self.workers - len(working)
        used = sum(job.threads for job in working)
        lasting = sum(job.threads for job in working if not job.done.done())
        return places < min(finals, self.workers) or self._shares.lacks(finals, used, lasting)

    def _start(self, slot: Slot, job: _Job, threads: int, waited_s: float) -> None:
        job.queue_s += waited_s
        self._stats.queue_s += waited_s
        job.slot, job.threads = slot, threads
        self._running[slot] = job
        if slot.worker is not None:
            slot.worker.link.send({**job.header, "threads": threads}, job.pcm)

    def _make_room(self) -> None:
        """Stop interims, the oldest first, until the finals that wait have places and threads.

        Those that nobody waits for any more do not count: ``_may_start`` sees to them.
        """
        while finals := self._schedule.urgent():
            held = [job for job in self._working() if not job.done.done()]
            interims = [job for job in held if job.ticket is not None and job.ticket.rank is JobClass.INTERIM]
            oldest = first_to_give_way(job.ticket for job in interims if job.ticket is not None)
            used = sum(job.threads for job in held)
            lasting = used - sum(job.threads for job in interims)
            enough_places = self.workers - len(held) >= min(finals, self.workers)
            if oldest is None or (enough_places and not self._shares.lacks(finals, used, lasting)):
                break
            self._shed(oldest.job)

    def _shed(self, job: _Job) -> None:
        if not job.done.done():
            self._stats.shed += 1
            job.done.set_exception(Aborted())

    def _abandon(self, job: _Job) -> None:
        """Nobody waits for ``job`` any more: take it out of the queue, or make its worker stop."""
        if job.ticket is not None and self._schedule.remove(job.ticket):
            self._stats.aborted += 1
        slot = job.slot
        if slot is not None and slot.worker is not None and self._running.get(slot) is job:
            self._stats.aborted += 1
            slot.worker.link.send({"op": "abort", "job": job.number})
            asyncio.get_running_loop().call_later(self._launcher.abort_s, self._lose_patience, slot, job)

    def _lose_patience(self, slot: Slot, job: _Job) -> None:
        if self._running.get(slot) is job:
            self._kill(slot)

    def _kill(self, slot: Slot) -> None:
        if slot.worker is not None:
            slot.killed = True
            slot.worker.kill()

    def _on_ready(self, _: Slot) -> None:
        self._problem = None  # a crew that is being closed starts nobody
        self._dispatch()

    def _on_reply(self, slot: Slot, header: wire.Header) -> None:
        job = self._running.get(slot)
        if job is None or header.get("job") != job.number or header["op"] == "failed":
            return  # a worker that failed ends itself, and its end is what counts
        if header["op"] == "started":
            job.started = True
            return
        del self._running[slot]
        slot.answered = True
        if not job.done.done():
            job.done.set_result(header)
        self._dispatch()

    def _on_lost(self, slot: Slot) -> None:
        """A worker has died: its job is next for another one, unless it has killed enough of them."""
        job = self._running.pop(slot, None)
        if job is None or job.done.done() or job.ticket is None:
            return
        job.deaths += job.started  # a worker that died before it saw the job did not die of it
        job.started = False
        if job.deaths >= MAX_DEATHS:
            _fail(job, EngineFailed())
            return
        job.ticket.since_s = time.monotonic()
        self._schedule.put_back(job.ticket)
        self._dispatch()

    def _on_problem(self, error: Unavailable) -> None:
        """No worker can be started. While none is left, nobody should wait for one."""
        if not self._crew.alive:
            self._problem = error
            for ticket in self._schedule.drain():
                _fail(ticket.job, error)

    def _retry_after_s(self) -> float:
        ahead = len(self._schedule) + len(self._running)
        return min(LONGEST_RETRY_S, max(1.0, math.ceil(ahead * self._mean_decode_s / self.workers)))


def _is_recording(job: _Job) -> bool:
    return job.ticket is not None and job.ticket.rank in (JobClass.SHORT_RECORDING, JobClass.LONG_RECORDING)


def _fail(job: _Job, error: SttError) -> None:
    if not job.done.done():
        job.done.set_exception(error)


def _unwrap(reply: wire.Header) -> wire.Header:
    """The reply, or the error it carries."""
    if reply["op"] == "refused":
        refusal = UnsupportedModel if reply["kind"] == ErrorKind.UNSUPPORTED_MODEL else EngineFailed
        raise refusal(reply["message"])
    return reply
