"""The shell around ``StreamMachine``: reader, writer and clock of one live connection, its decodes, its backpressure.

The machine decides everything; this module only moves things: bytes to samples to the machine, its jobs to the pool, their
results back, its events to the client.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from app.domain.audio import SAMPLE_RATE, PcmBlock
from app.domain.chunking import mix_to_mono
from app.domain.errors import BadAudio, InvalidParameter, PayloadTooLarge, SttError
from app.domain.options import DecodeOptions
from app.domain.ports import EngineSession, JobClass, StreamDecoder, Vad, VadStream
from app.domain.stream.events import (
    Abort,
    Audio,
    Closed,
    CloseStream,
    Control,
    Decoded,
    DecodeFailed,
    DecodeJob,
    ReadingPaused,
    ReadingResumed,
    SegmentLost,
    Shutdown,
    StreamEvent,
    StreamInput,
    Tick,
)
from app.domain.stream.machine import State, StreamMachine
from app.domain.stream.options import StreamOptions

SLICE_BYTES = 65_536
"""Most bytes decoded in one step, so that a message of megabytes does not keep control messages and timers waiting."""

INLINE_BYTES = 16_384
"""Headerless audio up to this size is converted in the event loop (0.2 ms); a thread would cost more than it saves."""

PIECE_SAMPLES = 4 * SAMPLE_RATE
"""Most samples given to the machine at once; a little compressed data may unpack to a lot."""

BACKLOG_SAMPLES = 30 * SAMPLE_RATE
"""Audio that may wait for its decode before reading from the client pauses; TCP then holds the client back."""

SEND_TIMEOUT_S = 30.0
"""Seconds a client may refuse to take a message before the stream is given up (contract 3.7, NET-0000)."""

UNSENT_EVENTS = 500
"""Events that may wait for a client that reads slowly before reading from it pauses."""

DECODE_TIMEOUT_S = 60.0
"""Seconds after which one decode of at most 15 s of audio is given up; its final then comes out empty."""


class ClientLink(Protocol):
    """A client as the shell sees it. ``receive`` gives audio bytes or a control message, None once the client is gone."""

    async def receive(self) -> bytes | Control | None: ...

    async def send(self, event: StreamEvent, sha256: str) -> None: ...

    async def close(self, code: int, reason: str) -> None: ...


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
    """One connection, from its first byte to its close. ``run`` ends when the client or the machine does."""

    def __init__(
        self,
        link: ClientLink,
        session: EngineSession,
        vad: Vad,
        decoder: StreamDecoder,
        options: StreamOptions,
        decode: DecodeOptions,
        *,
        multichannel: bool,
        inline: bool,
    ) -> None:
        self.counts = StreamCounts()
        self._link = link
        self._session = session
        self._vad = vad
        self._decoder = decoder
        self._options = options
        self._decode_options = decode
        self._multichannel = multichannel
        self._inline = inline
        self._vad_streams: list[VadStream] = []
        self._digest = hashlib.sha256()
        self._jobs: dict[int, asyncio.Task[None]] = {}
        self._outgoing: asyncio.Queue[StreamEvent] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._now: Callable[[], float] = asyncio.get_running_loop().time
        self._machine = StreamMachine(options, self._now())

    async def run(self) -> None:
        """Serve the client. Returns once everything is sent and closed, or the client is gone; nothing is left running."""
        writer = asyncio.ensure_future(self._write())
        others = [asyncio.ensure_future(work) for work in (self._read(), self._tick())]
        try:
            await asyncio.wait([writer, others[0]], return_when=asyncio.FIRST_COMPLETED)
            if self._machine.state is not State.LISTENING and not writer.done():
                await asyncio.wait([writer])  # the client has said everything; what it is owed is still on its way
            for task in (writer, others[0]):
                if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                    raise error
        finally:
            tasks = [writer, *others, *self._jobs.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await anyio.to_thread.run_sync(self._decoder.close)

    def shut_down(self) -> None:
        """The server is stopping: finish what was heard, then close with 1001."""
        self._receive(Shutdown())

    # ---- in ----

    async def _read(self) -> None:
        """Until the client has nothing more to say. Errors of its audio close the stream as the contract says."""
        while self._machine.state is State.LISTENING:
            item = await self._link.receive()
            if item is None:
                return
            try:
                await self._take(item)
            except (BadAudio, InvalidParameter, PayloadTooLarge):
                self._receive(Abort(1008, "DATA-0000"))
        while await self._link.receive() is not None:  # after CloseStream audio is ignored; a disconnect still counts
            pass

    async def _take(self, item: bytes | Control) -> None:
        if isinstance(item, bytes):
            self._digest.update(item)
            for start in range(0, len(item), SLICE_BYTES):
                await self._take_block(await self._decoded(item[start : start + SLICE_BYTES]))
                if self._machine.state is not State.LISTENING:
                    return
            return
        if isinstance(item, CloseStream):
            await self._take_block(await anyio.to_thread.run_sync(self._decoder.flush))
        self._receive(item)

    async def _decoded(self, data: bytes) -> PcmBlock:
        if self._inline and len(data) <= INLINE_BYTES:
            return self._decoder.feed(data)
        return await anyio.to_thread.run_sync(self._decoder.feed, data)

    async def _take_block(self, block: PcmBlock) -> None:
        if block.shape[1] == 0:
            if self._vad_streams:
                self._receive(self._silent_audio())
            return
        self._settle_channels(block.shape[0])
        for piece in _pieces(block):
            tracks = piece if self._multichannel else mix_to_mono(piece)[np.newaxis]
            if self._inline and piece.shape[1] <= SAMPLE_RATE // 2:
                probabilities = self._probabilities(tracks)
            else:
                probabilities = await anyio.to_thread.run_sync(self._probabilities, tracks)
            self.counts.audio_s += piece.shape[1] / SAMPLE_RATE
            self._receive(Audio(np.ascontiguousarray(tracks, np.float32), probabilities))
            await self._hold_back()

    def _silent_audio(self) -> Audio:
        """Bytes came, but no whole sample yet: enough to show that the client is there."""
        empty = np.zeros((len(self._vad_streams), 0), np.float32)
        return Audio(empty, tuple(np.zeros(0, np.float32) for _ in self._vad_streams))

    def _probabilities(self, tracks: PcmBlock) -> tuple[NDArray[np.float32], ...]:
        return tuple(stream.feed(track) for stream, track in zip(self._vad_streams, tracks, strict=True))

    def _settle_channels(self, found: int) -> None:
        """The first audio tells how many channels a container has; before it nothing depended on that."""
        if self._vad_streams:
            return
        channels = found if self._multichannel else 1
        if channels != self._options.channels:
            self._options = replace(self._options, channels=channels)
            self._machine = StreamMachine(self._options, self._now())
        self._vad_streams = [self._vad.stream() for _ in range(channels)]

    async def _hold_back(self) -> None:
        """Stop reading while too much waits for the engine or for the client's own reading."""
        if not self._is_behind(1.0):
            return
        self._receive(ReadingPaused())
        while self._machine.state is State.LISTENING and self._is_behind(0.5):
            self._changed.clear()
            await self._changed.wait()
        self._receive(ReadingResumed())

    def _is_behind(self, share: float) -> bool:
        return self._machine.backlog_samples > share * BACKLOG_SAMPLES or self._outgoing.qsize() > share * UNSENT_EVENTS

    # ---- the machine ----

    def _receive(self, item: StreamInput) -> None:
        self._machine.receive(item, self._now())
        for job_id in self._machine.cancelled():
            task = self._jobs.pop(job_id, None)
            if task is not None:
                self.counts.dropped_jobs += 1
                task.cancel()
        for job in self._machine.jobs():
            self._jobs[job.job_id] = asyncio.ensure_future(self._decode(job))
        for event in self._machine.events():
            self._outgoing.put_nowait(event)
        self._changed.set()

    async def _decode(self, job: DecodeJob) -> None:
        options = self._decode_options
        if job.job_class is JobClass.INTERIM:
            options = replace(options, temperature_fallback=False, beam_size=1)
        try:
            decode = self._session.transcribe(job.pcm, options, job.job_class)
            hypothesis = await asyncio.wait_for(decode, DECODE_TIMEOUT_S)
        except (SttError, asyncio.TimeoutError):
            outcome: StreamInput = DecodeFailed(job.job_id)
        else:
            self.counts.queue_s += hypothesis.queue_s
            self.counts.decode_s += hypothesis.decode_s
            outcome = Decoded(job.job_id, hypothesis)
        self._jobs.pop(job.job_id, None)
        self._receive(outcome)

    async def _tick(self) -> None:
        while True:
            deadline = self._machine.deadline()
            self._changed.clear()
            with suppress(asyncio.TimeoutError):
                wait_s = None if deadline is None else max(0.0, deadline - self._now())
                await asyncio.wait_for(self._changed.wait(), wait_s)
                continue
            self._receive(Tick())

    # ---- out ----

    async def _write(self) -> None:
        while True:
            event = await self._outgoing.get()
            self._changed.set()
            if isinstance(event, Closed):
                await self._link.close(event.code, event.reason)
                return
            if isinstance(event, SegmentLost):
                self.counts.lost_segments += 1
                continue
            self._count(event)
            try:
                await asyncio.wait_for(self._link.send(event, self._digest.hexdigest()), SEND_TIMEOUT_S)
            except asyncio.TimeoutError:
                await self._link.close(1011, "NET-0000")
                return

    def _count(self, event: StreamEvent) -> None:
        if getattr(event, "is_final", None) is True:
            self.counts.finals += 1
        elif getattr(event, "is_final", None) is False:
            self.counts.interims += 1


def _pieces(block: PcmBlock) -> Iterator[PcmBlock]:
    for start in range(0, block.shape[1], PIECE_SAMPLES):
        yield block[:, start : start + PIECE_SAMPLES]
