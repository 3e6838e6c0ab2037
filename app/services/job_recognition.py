"""One accepted job -> what its callback is to be told."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import BinaryIO, Protocol

from app.domain.audio import Pcm16k
from app.domain.errors import EngineFailed, Overloaded, SttError, Unavailable
from app.domain.jobs import Job, Outcome
from app.domain.options import DecodeOptions, TranscribeOptions
from app.domain.ports import EngineSession, Fetcher, JobClass
from app.domain.transcript import Hypothesis, LanguageGuess, Transcript
from app.services.jobs import Jobs
from app.services.threads import in_thread
from app.services.transcribe import Transcriber
from app.services.usage_entry import UsageEntry, entered
from app.telemetry import logger

_READ_BYTES = 1024 * 1024
_log = logger(__name__)


class JobEdge(Protocol):
    """The dialect in which jobs are asked for and answered, and where they are counted."""

    def options(self, job: Job) -> TranscribeOptions:
        """What ``job.request`` asks for. Raises what it raised when the job was accepted."""
        ...

    def answer(self, job: Job, transcript: Transcript, sha256: str) -> Outcome:
        """The body that the request would have got at once. ``sha256``: hex, of the audio's bytes."""
        ...

    def refusal(self, job: Job, error: SttError) -> Outcome: ...

    def headers(self, job: Job, outcome: Outcome) -> dict[str, str]:
        """What goes with the delivery."""
        ...

    def usage(self, job: Job) -> UsageEntry:
        """What the record of requests knew of the job when it was accepted."""
        ...

    async def keep_usage(self, entry: UsageEntry, outcome: Outcome) -> None:
        """Put the job on record as done; it returns once that is safe."""
        ...

    def count_delivery(self, result: str) -> None:
        """Account for an attempt to deliver: ``delivered``, ``failed`` or ``given_up``."""
        ...


class Recognition:
    """Runs jobs as recordings that nobody waits for. ``max_bytes``: of a download by URL; ``timeout_s``: of a recognition,
    far longer than where a client waits, as all others come first."""

    def __init__(self, jobs: Jobs, transcriber: Transcriber, fetcher: Fetcher, max_bytes: int, timeout_s: float) -> None:
        self._jobs = jobs
        self._transcriber = transcriber
        self._fetcher = fetcher
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    async def run(self, job: Job, edge: JobEdge) -> Outcome:
        """Recognise the job's audio. What goes wrong for good is an outcome too; ``Overloaded`` and ``Unavailable`` are
        raised: the job can be run later."""
        with entered(edge.usage(job)) as usage:
            outcome = await self._outcome(job, edge)
        await edge.keep_usage(usage, outcome)  # before the outcome is kept: a job that is run again is recorded again
        return outcome

    async def _outcome(self, job: Job, edge: JobEdge) -> Outcome:
        try:
            async with self._transcriber.admit(edge.options(job)) as admitted:
                with await self._audio(job) as file:
                    sha256 = await in_thread(_digest, file)
                    unhurried = replace(admitted, session=_UnhurriedSession(admitted.session), timeout_s=self._timeout_s)
                    transcript = await unhurried.run(file)
            return edge.answer(job, transcript, sha256)
        except (Overloaded, Unavailable):
            raise
        except SttError as error:
            _log.info("job refused", kind=error.kind.value)
            return edge.refusal(job, error)
        except Exception:  # noqa: BLE001 - whatever it was: a job that nobody answers would be run again and again
            _log.exception("job failed")
            return edge.refusal(job, EngineFailed())

    async def _audio(self, job: Job) -> BinaryIO:
        """Opened in the event loop, which takes no time: a thread would leave the file open where the job is cancelled."""
        spool = self._jobs.spool
        if job.audio_url:
            try:
                return spool.open(job.job_id)  # fetched before the server died
            except FileNotFoundError:
                async with self._jobs.receiving(job.job_id) as file:
                    await self._fetcher.fetch(job.audio_url, file, self._max_bytes)
        return spool.open(job.job_id)


class _UnhurriedSession:
    """An ``EngineSession`` whose decodes all give way to those that somebody waits for."""

    def __init__(self, session: EngineSession) -> None:
        self._session = session

    async def transcribe(self, pcm: Pcm16k, options: DecodeOptions, job_class: JobClass) -> Hypothesis:
        return await self._session.transcribe(pcm, options, max(job_class, JobClass.LONG_RECORDING))

    async def detect_language(self, pcm: Pcm16k, among: tuple[str, ...], job_class: JobClass) -> tuple[LanguageGuess, ...]:
        return await self._session.detect_language(pcm, among, max(job_class, JobClass.LONG_RECORDING))


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while data := file.read(_READ_BYTES):
        digest.update(data)
    file.seek(0)
    return digest.hexdigest()
