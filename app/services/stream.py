"""The shell around ``StreamMachine``: reader, worker, writer and clock of one live connection, decodes, backpressure.

The machine decides everything; this module only moves things: audio and messages to the machine, its jobs to the pool, their
results back, its events to the client. Sound that comes at the speed of speech takes no task's turn on its way in, and
results none on their way out: that is half of what hundreds of streams cost.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from dataclasses import dataclass, replace

import numpy as np

from app.domain.audio import SAMPLE_RATE
from app.domain.errors import BadAudio, InvalidParameter, PayloadTooLarge, SttError
from app.domain.options import DecodeOptions, Keyterm
from app.domain.ports import Aborted, EngineSession, JobClass
from app.domain.stream.events import (
    Abort,
    Audio,
    CloseStream,
    ConfigureReply,
    Control,
    Decoded,
    DecodeFailed,
    DecodeJob,
    ReadingPaused,
    ReadingResumed,
    Results,
    SegmentLost,
    Shutdown,
    StreamEvent,
    StreamInput,
    Tick,
)
from app.domain.stream.machine import State, StreamMachine
from app.domain.stream.options import StreamOptions
from app.domain.transcript import Hypothesis
from app.domain.vocabulary import strongest
from app.services.hearing import SLICE_BYTES, Hearing
from app.services.inbox import ClientLink, Inbox
from app.services.outgoing import Outgoing
from app.services.stream_speakers import StreamSpeakers
from app.services.time_limit import TimeLimit
from app.telemetry import logger

BACKLOG_SAMPLES = 30 * SAMPLE_RATE
"""Audio that may wait for its decode before work on what the client sends pauses; TCP then holds the client back."""

UNSENT_EVENTS = 500
"""Events that may wait for a client that reads slowly before work on what it sends pauses."""

DECODE_TIMEOUT_S = 300.0
"""Seconds, waiting for a worker included, after which one decode is given up; its final then comes out empty. Far above
what a crowd of streams that all send at full speed makes each of them wait: this is for an engine that hangs."""

_log = logger(__name__)


@dataclass(slots=True)
class StreamCounts:
    """What one stream did, for logs and metrics. Seconds of audio, of waiting for a worker and of decoding."""

    audio_s: float = 0.0
    finals: int = 0
    interims: int = 0
    dropped_jobs: int = 0
    lost_segments: int = 0
    queue_s: float = 0.0
    decode_s: float = 0.0


class LiveStream:
    """One connection, from its first byte to its close. ``run`` ends when the client or the machine does.

    Must be made inside the event loop that runs it.
    """

    def __init__(
        self,
        link: ClientLink,
        session: EngineSession,
        hearing: Hearing,
        options: StreamOptions,
        decode: DecodeOptions,
        speakers: StreamSpeakers | None = None,
    ) -> None:
        self.counts = StreamCounts()
        self._inbox = Inbox(link, self._hear_soon)
        self._session = session
        self._hearing = hearing
        self._speakers = speakers
        self._options = options
        self._decode_options = decode
        self._interim_options = _greedy(decode)
        self._jobs: dict[int, asyncio.Task[None]] = {}
        self._verdicts: dict[int, asyncio.Future[JobClass]] = {}
        self._has_ended = False
        self._progress = asyncio.Event()
        self._outgoing = Outgoing(link, lambda: hearing.sha256, self._progress.set)
        self._loop = asyncio.get_running_loop()
        # Sound comes in from the connection's own callbacks, which know nothing of the request: its lines need its id.
        self._context = contextvars.copy_context()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._machine = StreamMachine(options, self._loop.time())

    async def run(self) -> None:
        """Serve the client. Returns once everything is sent and closed, or the client is gone; nothing is left running."""
        self._set_timer()
        tasks = [asyncio.ensure_future(part) for part in (self._inbox.fill(), self._work(), self._outgoing.write())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    tasks[-1].cancel()
                    await self._outgoing.give_up(1011, "internal error")
                    raise error
        finally:
            self._has_ended = True
            self._inbox.close()
            if self._timer is not None:
                self._timer.cancel()
            tasks += self._jobs.values()
            for task in tasks:
                task.cancel()
            try:
                await self._hearing.close()  # first: it ends a decoder that hangs
            finally:
                await asyncio.wait(tasks)  # not gather, which would lose the reason of a cancellation that comes meanwhile

    def shut_down(self) -> None:
        """The server is stopping: finish what was heard, then close with 1001."""
        self._receive(Shutdown())

    # ---- in ----

    async def _work(self) -> None:
        """Take what the client sends, in order. After CloseStream it is thrown away (contract 3.6). Never returns."""
        while True:
            item = await self._inbox.take()
            if self._is_listening:
                try:
                    await self._take(item)
                except (BadAudio, InvalidParameter, PayloadTooLarge):
                    self._receive(Abort(1008, "DATA-0000"))

    def _hear_soon(self, item: bytes | Control) -> bool:
        """Hear a little sound without a turn of ``_work``, which costs more than the hearing. False: not this message."""
        if not isinstance(item, bytes) or not self._hearing.is_brief(item):
            return False
        if not self._is_listening or self._is_behind(1.0):
            return False
        try:
            self._hearing.hear_soon(item, self._heard_soon)
        except (BadAudio, InvalidParameter, PayloadTooLarge):
            self._receive(Abort(1008, "DATA-0000"))
            self._inbox.release()
        return True

    def _heard_soon(self, heard: list[Audio] | Exception) -> None:
        if self._has_ended:
            return
        if isinstance(heard, Exception):
            self._inbox.fail(heard)
            return
        try:
            for audio in heard or [self._no_audio()]:
                if self._is_listening:
                    self._receive_audio(audio)
        except Exception as error:  # noqa: BLE001 - the caller serves all streams; this one must hear of it
            self._inbox.fail(error)
            return
        self._inbox.release()

    async def _take(self, item: bytes | Control) -> None:
        if isinstance(item, bytes):
            for start in range(0, len(item), SLICE_BYTES):
                end = start + SLICE_BYTES
                more = end < len(item) or not self._inbox.is_empty
                heard = await self._hearing.hear(item[start:end], at_once=more)
                await self._take_audio(heard or [self._no_audio()])
                if not self._is_listening:
                    return
                if end < len(item):
                    await asyncio.sleep(0)  # a client that sends a file at once must not keep all others waiting
            return
        if isinstance(item, CloseStream):
            await self._take_audio(await self._hearing.rest())
        self._receive(item)
        await self._hold_back()

    async def _take_audio(self, heard: list[Audio]) -> None:
        for audio in heard:
            if not self._is_listening:  # the stream may have ended while a thread decoded
                return
            self._receive_audio(audio)
            await self._hold_back()

    def _receive_audio(self, audio: Audio) -> None:
        self._settle_channels(len(audio.pcm))
        self.counts.audio_s += audio.pcm.shape[1] / SAMPLE_RATE
        if self._speakers is not None:
            self._speakers.hear(audio)
        self._receive(audio)

    def _no_audio(self) -> Audio:
        """Bytes came, but no whole sample yet: enough to show that the client is there."""
        channels = self._options.channels
        return Audio(np.zeros((channels, 0), np.float32), (np.zeros(0, np.float32),) * channels)

    def _settle_channels(self, found: int) -> None:
        """The first audio tells how many channels a container has; before it nothing depended on that."""
        if found != self._options.channels:
            self._options = replace(self._options, channels=found)
            self._machine = StreamMachine(self._options, self._loop.time())

    async def _hold_back(self) -> None:
        """Stop working while too much waits for the engine or for the client's own reading."""
        if not self._is_behind(1.0):
            return
        self._receive(ReadingPaused())
        while self._is_listening and self._is_behind(0.5):
            self._progress.clear()
            await self._progress.wait()
        self._receive(ReadingResumed())

    def _is_behind(self, share: float) -> bool:
        return self._machine.backlog_samples > share * BACKLOG_SAMPLES or self._outgoing.waiting > share * UNSENT_EVENTS

    # ---- the machine ----

    @property
    def _is_listening(self) -> bool:
        return self._machine.state is State.LISTENING

    def _receive(self, item: StreamInput) -> None:
        self._machine.receive(item, self._loop.time())
        for job_id in self._machine.cancelled():
            task = self._jobs.pop(job_id, None)
            self._verdicts.pop(job_id, None)
            if task is not None:
                self.counts.dropped_jobs += 1
                task.cancel()
        for job in self._machine.jobs():
            if job.job_class is JobClass.SPECULATION:
                self._verdicts[job.job_id] = self._loop.create_future()
            self._jobs[job.job_id] = self._context.run(asyncio.ensure_future, self._decode(job))
        for job_id, job_class in self._machine.decided():
            if (verdict := self._verdicts.get(job_id)) is not None:
                verdict.set_result(job_class)
        for event in self._machine.events():
            self._tell(event)
        self._progress.set()
        self._set_timer()

    def _set_timer(self) -> None:
        """Keep one timer that is never late. One that is early costs a Tick that does nothing, ten seconds apart."""
        deadline = self._machine.deadline()
        if deadline is None or self._timer_at <= deadline:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline  # uvloop's handles cannot all be asked for their time
        self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer_at = math.inf
        self._receive(Tick())

    async def _decode(self, job: DecodeJob) -> None:
        options = self._interim_options if job.job_class is JobClass.INTERIM else self._decode_options
        outcome: StreamInput = DecodeFailed(job.job_id)
        try:
            with TimeLimit(DECODE_TIMEOUT_S):
                hypothesis = await self._transcribe(job, options)
        except Aborted:
            self.counts.dropped_jobs += 1  # an interim that gave way; newer audio will bring another one
        except (SttError, asyncio.TimeoutError) as error:
            _log.warning("live decode failed", kind=type(error).__name__)
        except Exception:  # noqa: BLE001 - whatever it was: a final that nobody answers would hold its stream for ever
            _log.exception("live decode failed")
        else:
            self.counts.queue_s += hypothesis.queue_s
            self.counts.decode_s += hypothesis.decode_s
            outcome = Decoded(job.job_id, hypothesis)
        self._jobs.pop(job.job_id, None)
        self._verdicts.pop(job.job_id, None)
        self._receive(outcome)

    async def _transcribe(self, job: DecodeJob, options: DecodeOptions) -> Hypothesis:
        try:
            return await self._session.transcribe(job.pcm, options, job.job_class)
        except Aborted:
            verdict = self._verdicts.get(job.job_id)
            if verdict is None:
                raise
        job_class = await verdict  # finals wait: this one is asked for again when it is one
        if job_class is JobClass.INTERIM:
            raise Aborted
        return await self._session.transcribe(job.pcm, options, job_class)

    # ---- out ----

    def _favour(self, terms: tuple[Keyterm, ...]) -> None:
        """Decodes that start from now on favour these terms, and only these."""
        terms = strongest(terms)
        self._decode_options = replace(self._decode_options, keyterms=terms)
        self._interim_options = _greedy(self._decode_options)

    def _tell(self, event: StreamEvent) -> None:
        if isinstance(event, SegmentLost):
            self.counts.lost_segments += 1
            return
        if isinstance(event, ConfigureReply) and event.failure is None and event.request.keyterms is not None:
            self._favour(tuple(Keyterm(term) for term in event.request.keyterms))
        if isinstance(event, Results):
            self.counts.finals += event.is_final
            self.counts.interims += not event.is_final
            if self._speakers is not None:
                event = self._speakers.named(event)
        self._outgoing.put(event)


def _greedy(decode: DecodeOptions) -> DecodeOptions:
    """How interims are decoded: the first reading is good enough, and the next interim mends it."""
    return replace(decode, temperature=0.0, temperature_fallback=False, beam_size=1, best_of=1)
