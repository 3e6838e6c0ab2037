"""The live stream as a pure state machine: no socket, no event loop, no clock, no engine.

Two clocks. Everything a client can see counts samples of audio; ``now``, any monotonic clock in seconds, serves only the
idle limits and the pace of interims. So a file sent faster than it was spoken gives the finals that real time gives.

The shell around it does this, and nothing else:

- After every ``receive`` it takes ``cancelled()``, ``jobs()``, ``decided()`` and ``events()``, in this order: it aborts the
  first, gives the second to the engine, and sends the last to the client. Each list is given out once.
- A job of the class ``SPECULATION`` that the engine has no time for waits until ``decided()`` names it or it is cancelled:
  as a final it is given to the engine once more, as an interim it has failed.
- Every job taken comes back as exactly one ``Decoded`` or ``DecodeFailed``, in any order; for a cancelled one nothing
  need come, and what comes is dropped. A time limit on decodes is the shell's: without an answer a final waits for ever.
- Nothing received until ``deadline()``: it sends ``Tick``. It sends ``ReadingPaused`` before it stops reading from the
  client (``backlog_samples`` says when that is wise) and ``ReadingResumed`` after, or the client would look idle.
- After ``Closed`` it closes the connection. Whatever is received after that has no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, ClassVar

import numpy as np

from app.domain.errors import InvalidRequest
from app.domain.ports import JobClass
from app.domain.stream.channel import ChannelMachine
from app.domain.stream.events import (
    Abort,
    Audio,
    Closed,
    CloseStream,
    Configure,
    ConfigureFailure,
    ConfigureReply,
    Decoded,
    DecodeFailed,
    DecodeJob,
    Finalize,
    KeepAlive,
    Metadata,
    ReadingPaused,
    ReadingResumed,
    SchemaError,
    Shutdown,
    StreamEvent,
    StreamInput,
    Tick,
    Unparsable,
)
from app.domain.stream.options import WINDOW_SAMPLES, SampleCounts, StreamOptions
from app.domain.stream.outbox import Outbox
from app.domain.vocabulary import exceed_limit


class State(Enum):
    """Where a stream stands."""

    LISTENING = "listening"
    """Audio and messages are taken."""
    DRAINING = "draining"
    """The client has sent everything; finals are still owed."""
    CLOSED = "closed"
    """``Closed`` has been said."""


class Reaction(Enum):
    """What an item does in a state."""

    TAKE = "take"
    DROP = "drop"


_T, _D = Reaction.TAKE, Reaction.DROP
TABLE: Mapping[type[StreamInput], Mapping[State, Reaction]] = {
    item: dict(zip(State, row, strict=True))
    for item, row in {
        #              LISTENING DRAINING CLOSED
        Audio: (_T, _D, _D),  # after CloseStream it is ignored (contract 3.6)
        KeepAlive: (_T, _D, _D),
        Finalize: (_T, _D, _D),  # everything is being finalised already
        CloseStream: (_T, _D, _D),
        Shutdown: (_T, _D, _D),
        Configure: (_T, _D, _D),
        Unparsable: (_T, _D, _D),
        Decoded: (_T, _T, _D),
        DecodeFailed: (_T, _T, _D),
        Tick: (_T, _D, _D),  # a draining stream waits for the engine, not for the client
        ReadingPaused: (_T, _D, _D),
        ReadingResumed: (_T, _D, _D),
        Abort: (_T, _T, _D),
    }.items()
}
"""Every kind of item in every state. What is not in the table is refused with ``InvalidRequest``."""


class StreamMachine:
    """One client's stream. ``now`` is when it was accepted: the idle limit counts from there."""

    def __init__(self, options: StreamOptions, now: float) -> None:
        self.state = State.LISTENING
        self.received_samples = 0
        """Audio received, per channel."""
        self._options = options
        self._outbox = Outbox(now)
        counts = SampleCounts.of(options)
        self._channels = [ChannelMachine(index, options, counts, self._outbox) for index in range(options.channels)]
        self._close_code = 1000
        self._heard_at = now
        self._audio_at = now
        self._reading_paused = False
        self._kept_alive = False
        self._stalled = False

    # ---- for the shell ----

    def receive(self, item: StreamInput, now: float) -> None:
        """Take one item. Raises ``InvalidRequest``, with nothing changed, for audio that does not fit the stream.

        A block is copied whole before its end can be forgotten: keep blocks to some seconds.
        """
        reactions = TABLE.get(type(item))
        if reactions is None:
            raise InvalidRequest(f"A stream cannot take a {type(item).__name__}.")
        self._outbox.now = max(now, self._outbox.now)
        if reactions[self.state] is Reaction.TAKE:
            self._ACTIONS[type(item)](self, item)
        if self.state is State.DRAINING and not any(channel.finals for channel in self._channels):
            channels = self._options.channels if self.received_samples else 0
            self._outbox.emit(Metadata(self.received_samples, channels))
            self._close(self._close_code, "")

    def events(self) -> list[StreamEvent]:
        """What has to be told to the client since the last call, in order."""
        return self._outbox.take_events()

    def jobs(self) -> list[DecodeJob]:
        """The decodes wanted since the last call, in the order they were wanted."""
        return self._outbox.take_jobs()

    def decided(self) -> list[tuple[int, JobClass]]:
        """What speculations taken earlier have turned out to be, as (job id, class): finals, or no more than interims."""
        return self._outbox.take_decided()

    def cancelled(self) -> list[int]:
        """Ids of jobs, taken earlier, that nobody needs any more."""
        return self._outbox.take_cancelled()

    def deadline(self) -> float | None:
        """When to send a ``Tick`` if nothing comes before; None: never."""
        if self.state is not State.LISTENING:
            return None
        times = [channel.interim_at for channel in self._channels]
        if not self._reading_paused:
            times.append(self._heard_at + self._options.idle_timeout_s)
            times.append(self._stall_at)
        return min((time for time in times if time is not None), default=None)

    @property
    def backlog_samples(self) -> int:
        """Audio in finals that wait for their decode, on the channel that waits most. A client that sends faster than the
        server decodes makes it grow: stop reading above some seconds."""
        return max(channel.finals.owed_samples for channel in self._channels)

    @property
    def retained_samples(self) -> int:
        """Room that the audio kept for later decodes takes, over all channels, in samples."""
        return sum(channel.retained_samples for channel in self._channels)

    # ---- items ----

    def _take_audio(self, audio: Audio) -> None:
        probabilities = self._checked(audio)
        self._heard_at = self._audio_at = self._outbox.now
        self.received_samples += audio.pcm.shape[1]
        self._kept_alive = False
        self._stalled = self._stalled and not audio.pcm.shape[1]
        for channel, pcm in zip(self._channels, audio.pcm, strict=True):
            channel.append(pcm)
        # Window by window over all channels: the order of events must not depend on how the audio was split into blocks.
        for row in zip(*probabilities, strict=True):
            for channel, probability in zip(self._channels, row, strict=True):
                channel.step(probability)
        for channel in self._channels:
            channel.rest()

    def _checked(self, audio: Audio) -> list[list[float]]:
        pcm, channels = audio.pcm, self._options.channels
        if pcm.dtype != np.float32 or pcm.ndim != 2 or pcm.shape[0] != channels or len(audio.probabilities) != channels:
            raise InvalidRequest(f"Audio must be float32 with {channels} channel(s) and a list of probabilities for each.")
        received = self.received_samples
        windows = (received + pcm.shape[1]) // WINDOW_SAMPLES - received // WINDOW_SAMPLES
        if any(probabilities.shape != (windows,) for probabilities in audio.probabilities):
            raise InvalidRequest(f"This audio completes {windows} windows; each needs one speech probability.")
        return [probabilities.tolist() for probabilities in audio.probabilities]

    def _take_keep_alive(self, _: KeepAlive) -> None:
        self._heard_at = self._outbox.now
        # Messages arrive in order, so the client knows that it is sending no audio: this is no delay on the way.
        self._kept_alive = True
        self._stall_if_due()

    def _take_finalize(self, item: Finalize) -> None:
        if item.channel_index is not None and not 0 <= item.channel_index < len(self._channels):
            self._outbox.emit(SchemaError(item.text))
            return
        named = self._channels if item.channel_index is None else [self._channels[item.channel_index]]
        for channel in named:
            channel.flush(speech_final=True, from_finalize=True, even_if_empty=True)

    def _take_configure(self, item: Configure) -> None:
        failure = None
        if item.keyterms and not self._options.takes_keyterms:
            failure = ConfigureFailure.KEYTERMS_NOT_SUPPORTED
        elif item.keyterms and exceed_limit(item.keyterms):
            failure = ConfigureFailure.KEYTERM_LIMIT_EXCEEDED
        self._outbox.emit(ConfigureReply(item, failure))

    def _take_result(self, item: Decoded | DecodeFailed) -> None:
        channel_index = self._outbox.settle(item.job_id)
        if channel_index is not None:
            self._channels[channel_index].decoded(item.job_id, item.hypothesis if isinstance(item, Decoded) else None)

    def _take_tick(self, _: Tick) -> None:
        self._stall_if_due()
        if not self._reading_paused and self._outbox.now >= self._heard_at + self._options.idle_timeout_s:
            self._close(1011, "NET-0001")
            return
        for channel in self._channels:
            channel.ask_interim()

    def _take_reading(self, item: ReadingPaused | ReadingResumed) -> None:
        self._reading_paused = isinstance(item, ReadingPaused)
        self._heard_at = self._audio_at = self._outbox.now

    # ---- the end of audio ----

    @property
    def _stall_at(self) -> float | None:
        if not self._kept_alive or self._stalled:
            return None
        return self._audio_at + self._options.stall_s

    def _stall_if_due(self) -> None:
        due_at = self._stall_at
        if due_at is None or self._reading_paused or self._outbox.now < due_at:
            return
        self._stalled = True
        for channel in self._channels:
            if channel.has_unsaid:
                channel.flush(speech_final=self._options.endpointing_s is not None, even_if_empty=True)
            channel.stop_audio()

    def _drain(self, close_code: int) -> None:
        self.state = State.DRAINING
        self._close_code = close_code
        for channel in self._channels:
            channel.flush(speech_final=self._options.endpointing_s is not None)
            channel.stop_audio()

    def _close(self, code: int, reason: str) -> None:
        self.state = State.CLOSED
        self._outbox.cancel_all()
        self._outbox.emit(Closed(code, reason))

    def _take_close(self, _: CloseStream) -> None:
        self._drain(1000)

    def _take_shutdown(self, _: Shutdown) -> None:
        self._drain(1001)

    def _take_unparsable(self, item: Unparsable) -> None:
        self._outbox.emit(SchemaError(item.text))

    def _take_abort(self, item: Abort) -> None:
        self._close(item.code, item.reason)

    # Not of the instance: a machine that refers to itself would keep its audio until the collector of garbage comes by.
    _ACTIONS: ClassVar[Mapping[type[StreamInput], Callable[[StreamMachine, Any], None]]] = {
        Audio: _take_audio,
        KeepAlive: _take_keep_alive,
        Finalize: _take_finalize,
        CloseStream: _take_close,
        Shutdown: _take_shutdown,
        Configure: _take_configure,
        Unparsable: _take_unparsable,
        Decoded: _take_result,
        DecodeFailed: _take_result,
        Tick: _take_tick,
        ReadingPaused: _take_reading,
        ReadingResumed: _take_reading,
        Abort: _take_abort,
    }
