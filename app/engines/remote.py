"""The pool whose decodes are requests to another server: order, limits, second tries, and whether anybody is there."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
import math
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from app.domain.audio import SAMPLE_RATE, Pcm16k
from app.domain.errors import ClientGone, Overloaded, SttError, Unavailable, UnsupportedModel
from app.domain.guards import cut_loops, drop_hopeless, find_doubts
from app.domain.languages import word_space
from app.domain.options import DecodeOptions
from app.domain.ports import Aborted, EngineCapabilities, EngineSession, JobClass, PoolStats
from app.domain.scheduling import INTERIM_DEADLINE_S, Schedule, Ticket, first_to_give_way
from app.domain.transcript import Hypothesis, LanguageGuess
from app.engines.remote_answer import Answer
from app.engines.remote_backend import Backend
from app.engines.remote_client import UNREACHABLE, BackendClient, BackendDown, Sound, encode
from app.engines.remote_pace import InterimPace

log = logging.getLogger("whisperapi.backend")

MIN_SAMPLES = SAMPLE_RATE
"""Whisper does badly on less than a second, and OpenAI refuses a tenth of one: shorter sound is padded with silence."""

ATTEMPTS = 3
"""Times that a recording's decode is tried: who waits for it may ask again. Finals of live speech cannot be asked for again,
so they are tried until their time is over."""

LIVE_PATIENCE_S = 20.0
"""Seconds that they wait for a server that is away: it may be restarted. Beyond, the stream would fall behind for good."""

FIRST_BACKOFF_S = 0.2
LONGEST_BACKOFF_S = 2.0

PROBE_S = 5.0
PROBE_DOWN_S = 1.0
"""Seconds between two looks at a server that is idle, and at one that was away."""

LONGEST_RETRY_S = 60.0
_LIVE = (JobClass.FINALIZE, JobClass.FINAL)
_NO_AUDIO = np.zeros(0, np.float32)


@dataclass(eq=False, slots=True)
class _Job:
    """One decode on its way: queued at ``since_s``, sent first at ``began_s``, of the monotonic clock."""

    pcm: Pcm16k
    options: DecodeOptions
    job_class: JobClass
    since_s: float
    done: asyncio.Future[Answer]
    ticket: Ticket[_Job] | None = None
    task: asyncio.Task[None] | None = None
    began_s: float = 0.0
    queue_s: float = 0.0
    request_s: float = 0.0
    retries: int = 0
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    """Of who asked: another request's job may be what makes room for this one."""


@dataclass(eq=False, slots=True)
class _Session:
    """Fulfils ``ports.EngineSession``."""

    pool: RemotePool
    number: int
    jobs: set[_Job] = field(default_factory=set)
    closed: bool = False

    async def transcribe(self, pcm: Pcm16k, options: DecodeOptions, job_class: JobClass) -> Hypothesis:
        """See the port. A result that looks wrong is asked for again without its prompt, as locally."""
        self.pool.check(options)
        duration_s = pcm.size / SAMPLE_RATE
        job, answer = await self.pool.run(self, pcm, options, job_class)
        queue_s, decode_s, retries = job.queue_s, job.request_s, job.retries
        segments = answer.segments
        if find_doubts(segments, duration_s, options.prompt):
            if options.prompt and job_class is not JobClass.INTERIM:
                job, answer = await self.pool.run(self, pcm, replace(options, prompt=""), job_class)
                queue_s, decode_s, retries = queue_s + job.queue_s, decode_s + job.request_s, retries + job.retries + 1
                segments = answer.segments
            segments = drop_hopeless(segments)
        language = options.language or self.pool.heard(answer) or "en"
        segments = cut_loops(segments, word_space("en" if options.translate else language))
        return Hypothesis(segments, language, decode_s, queue_s, retries)

    async def detect_language(self, pcm: Pcm16k, among: tuple[str, ...], job_class: JobClass) -> tuple[LanguageGuess, ...]:
        """See the port. Servers name one language and not how sure they are: nine tenths stand for that."""
        options = DecodeOptions(language=None, languages=among)
        self.pool.check(options)
        _, answer = await self.pool.run(self, pcm, options, job_class)
        codes = among or self.pool.capabilities.languages
        heard = self.pool.heard(answer)
        if heard is None:
            raise UnsupportedModel("The recognition backend does not tell languages apart.", parameter="language")
        return _guesses(codes, heard)


class RemotePool:
    """Fulfils ``ports.EnginePool`` with another server's ``POST /v1/audio/transcriptions``. Belongs to one event loop.

    ``capabilities`` follow what the answers show. While nobody is there, ``stats().workers`` is 0 and nobody is admitted;
    streams that were admitted keep their sessions and lose what cannot be recognised within its time.
    """

    def __init__(self, backend: Backend, max_pending: int = 64) -> None:
        self.workers = backend.parallel
        self.capabilities: EngineCapabilities = backend.capabilities
        self._backend = backend
        self._client = BackendClient(backend)
        self._max_pending = max_pending
        self._schedule: Schedule[_Job] = Schedule()
        self._pace = InterimPace(backend.parallel)
        self._running: set[_Job] = set()
        self._numbers = itertools.count(1)
        self._stats = PoolStats()
        self._wake: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self._is_down = False
        self._is_closed = False
        self._heard_from_s = -math.inf
        self._model: str | None = None

    @classmethod
    async def start(cls, backend: Backend, max_pending: int = 64) -> RemotePool:
        """Look whether the server is there, and go on looking. One that is away is no failure: it may come."""
        pool = cls(backend, max_pending)
        pool._note(is_up=await pool._client.probe(PROBE_S) is True)
        # in no context: the request that had the model loaded is not the one of all later lines
        pool._watch = contextvars.Context().run(asyncio.ensure_future, pool._keep_looking())
        return pool

    def admit(self, *, live: bool = False) -> AbstractAsyncContextManager[EngineSession]:
        """See the port. The permit is held while the context is."""
        return self._permit(permits=0 if live else 1)

    @asynccontextmanager
    async def _permit(self, permits: int) -> AsyncIterator[EngineSession]:
        self._check_open()
        if self._is_down:
            raise Unavailable(UNREACHABLE)
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
            workers=0 if self._is_down or self._is_closed else self.workers,
            busy=len(self._running),
            waiting=len(self._schedule),
        )

    async def close(self) -> None:
        """See the port. May be called again."""
        self._is_closed = True
        if self._wake is not None:
            self._wake.cancel()
        jobs = [ticket.job for ticket in self._schedule.drain()] + list(self._running)
        for job in jobs:
            _fail(job, Unavailable("The server is stopping."))
        tasks = [task for task in (self._watch, *(job.task for job in jobs)) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()

    def check(self, options: DecodeOptions) -> None:
        """Raise ``UnsupportedModel`` for what the backend is not said to know."""
        asked = (options.language, *options.languages) if options.language else options.languages
        if not set(asked) <= set(self.capabilities.languages):
            raise UnsupportedModel("The model does not know the language asked for.")
        if options.translate and not self.capabilities.translates:
            raise UnsupportedModel("This model cannot translate.")

    def heard(self, answer: Answer) -> str | None:
        """The language of an answer, if it tells one that the backend is said to know."""
        return answer.language if answer.language in self.capabilities.languages else None

    async def run(self, session: _Session, pcm: Pcm16k, options: DecodeOptions, job_class: JobClass) -> tuple[_Job, Answer]:
        """Queue a job of ``session`` and wait for its answer."""
        if session.closed:
            raise ClientGone
        self._check_open()
        if job_class is JobClass.SPECULATION:
            job_class = JobClass.FINAL
        now_s = time.monotonic()
        job = _Job(pcm, options, job_class, now_s, asyncio.get_running_loop().create_future())
        job.ticket = self._schedule.add(job, session.number, job_class, now_s)
        session.jobs.add(job)
        self._dispatch()
        try:
            answer = await job.done
        except SttError as error:
            self._stats.failed += not isinstance(error, ClientGone)
            raise
        else:
            self._stats.done += 1
            self._stats.decode_s += job.request_s
            return job, answer
        finally:
            session.jobs.discard(job)
            self._abandon(job)
            job.pcm, job.ticket = _NO_AUDIO, None  # a circle of references would keep the audio for long

    def _dispatch(self) -> None:
        """Send what may be sent now; interims only as fast as the backend takes them."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        now_s = time.monotonic()
        for old in self._schedule.expired(now_s):
            self._shed(old.job)
        while not self._is_closed and (len(self._running) < self.workers or self._make_room()):
            ticket = self._schedule.take(now_s)
            if ticket is None:
                return
            if ticket.rank is JobClass.INTERIM:
                wait_s = self._pace.wait_s(now_s, sum(job.job_class is JobClass.INTERIM for job in self._running))
                if wait_s != 0.0:
                    self._schedule.put_back(ticket)
                    delay_s = INTERIM_DEADLINE_S if wait_s is None else min(wait_s, INTERIM_DEADLINE_S)
                    self._wake = asyncio.get_running_loop().call_later(delay_s + 0.001, self._dispatch)
                    return
                self._pace.sent(now_s)
            ticket.job.began_s = now_s
            ticket.job.queue_s = now_s - ticket.since_s
            self._stats.queue_s += ticket.job.queue_s
            self._running.add(ticket.job)
            self._begin(ticket.job)

    def _begin(self, job: _Job) -> None:
        job.task = job.context.run(asyncio.ensure_future, self._serve(job))
        job.task.add_done_callback(lambda _: self._served(job))  # a task that is cancelled at once runs nothing of itself

    def _make_room(self) -> bool:
        """Stop the oldest interim if a final waits for a place. Its connection is closed, so the backend can stop too."""
        if not self._schedule.urgent():
            return False
        running = (job.ticket for job in self._running if job.ticket is not None and not job.done.done())
        ticket = first_to_give_way(running)
        if ticket is None:
            return False
        self._shed(ticket.job)
        self._abandon(ticket.job)
        return True

    async def _serve(self, job: _Job) -> None:
        try:
            answer = await self._recognise(job)
            if not job.done.done():
                job.done.set_result(answer)
        except Exception as error:  # noqa: BLE001 - whoever waits for the job must hear of it
            if not job.done.done():
                job.done.set_exception(error)

    def _served(self, job: _Job) -> None:
        self._running.discard(job)
        self._dispatch()

    async def _recognise(self, job: _Job) -> Answer:
        """Requests until one is answered, the reason is one that does not pass, or the job's time is over."""
        pcm = job.pcm if job.pcm.size >= MIN_SAMPLES else np.pad(job.pcm, (0, MIN_SAMPLES - job.pcm.size))
        sound = await self._encoded(pcm)
        backoff_s = FIRST_BACKOFF_S
        end_s = job.began_s + self._backend.timeout_s  # the queue before that is ours, not the backend's fault
        while True:
            began_s = time.monotonic()
            try:
                answer = await self._client.recognise(pcm, sound, job.options, max(0.001, end_s - began_s))
            except BackendDown as failure:
                now_s = time.monotonic()
                self._pace.failed(now_s, failure.wait_s)
                if failure.is_down:
                    self._note(is_up=False)
                if job.job_class is JobClass.INTERIM:
                    raise Aborted from None
                job.retries += 1
                wait_s = max(backoff_s, failure.wait_s)
                is_last = job.job_class not in _LIVE and job.retries >= ATTEMPTS
                until_s = min(end_s, job.since_s + LIVE_PATIENCE_S) if failure.is_down else end_s
                if is_last or now_s + wait_s >= until_s:
                    raise failure.error from None
                await asyncio.sleep(wait_s)
                backoff_s = min(2 * backoff_s, LONGEST_BACKOFF_S)
            else:
                job.request_s = time.monotonic() - began_s
                self._pace.took(job.request_s)
                self._note(is_up=True)
                self._learn(answer)
                return _cut_to(answer, job.pcm.size / SAMPLE_RATE)

    async def _encoded(self, pcm: Pcm16k) -> Sound:
        if self._backend.takes_wav:  # 0.4 ms for 30 s; a thread waits up to 5 while speech detection has the interpreter
            return encode(pcm, as_wav=True)
        return await asyncio.to_thread(encode, pcm, as_wav=False)

    def _learn(self, answer: Answer) -> None:
        """What the answers hold is what later ones will."""
        known = self.capabilities
        if answer.times_words is not None and answer.rates_words is not None:
            self.capabilities = replace(known, times_words=answer.times_words, rates_words=answer.rates_words)
        if answer.model is not None and answer.model != self._model:
            if self._model is not None:
                log.warning("the backend %s answers with another model than before", self._backend.name)
            self._model = answer.model

    def _abandon(self, job: _Job) -> None:
        """Nobody waits for ``job`` any more: take it out of the queue, or break its request off."""
        if job.ticket is not None and self._schedule.remove(job.ticket):
            self._stats.aborted += 1
        elif job in self._running and job.task is not None:
            self._running.discard(job)
            if not job.task.done():
                self._stats.aborted += 1
                job.task.cancel()

    def _shed(self, job: _Job) -> None:
        if not job.done.done():
            self._stats.shed += 1
            job.done.set_exception(Aborted())

    async def _keep_looking(self) -> None:
        """Know how the backend is while nothing is asked of it."""
        while True:
            await asyncio.sleep(PROBE_DOWN_S)
            if self._is_down or time.monotonic() - self._heard_from_s >= PROBE_S:
                is_up = await self._client.probe(PROBE_S)
                if is_up is not None or not self._running:  # one that does one thing at a time is silent while it works
                    self._note(is_up=is_up is True)

    def _note(self, *, is_up: bool) -> None:
        if is_up:
            self._heard_from_s = time.monotonic()
        if self._is_down is is_up:
            self._is_down = not is_up
            log.warning("the backend %s %s", self._backend.name, "is back" if is_up else "cannot be reached")

    def _check_open(self) -> None:
        if self._is_closed:
            raise Unavailable("The server is stopping.")

    def _retry_after_s(self) -> float:
        ahead = len(self._schedule) + len(self._running)
        return min(LONGEST_RETRY_S, max(1.0, math.ceil(ahead * self._pace.mean_s / self.workers)))


def _fail(job: _Job, error: SttError) -> None:
    if not job.done.done():
        job.done.set_exception(error)


def _guesses(codes: Sequence[str], heard: str) -> tuple[LanguageGuess, ...]:
    """The language heard first. One that is not among ``codes`` says nothing about them: all are as likely."""
    if heard not in codes or len(codes) == 1:
        return tuple(LanguageGuess(code, 1.0 / len(codes)) for code in codes)
    rest = 0.1 / (len(codes) - 1)
    ordered = sorted(codes, key=lambda code: code != heard)
    return tuple(LanguageGuess(code, 0.9 if code == heard else rest) for code in ordered)


def _cut_to(answer: Answer, duration_s: float) -> Answer:
    """Without the padding: no time lies behind the sound."""
    segments = []
    for segment in answer.segments:
        words = tuple(
            replace(word, start_s=min(word.start_s, duration_s), end_s=min(word.end_s, duration_s)) for word in segment.words
        )
        start_s, end_s = min(segment.start_s, duration_s), min(segment.end_s, duration_s)
        segments.append(replace(segment, start_s=start_s, end_s=end_s, words=words))
    return replace(answer, segments=tuple(segments))
