"""Everything that goes into the machine and comes out of it: frozen values, in no vendor's words.

Positions are samples at 16 kHz from the first sample of the stream, intervals half-open; ``*_s`` properties give seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from app.domain.audio import Pcm16k, PcmBlock, seconds
from app.domain.ports import JobClass
from app.domain.transcript import Hypothesis, Word

# ---- in -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Audio:
    """A stretch of sound, shape ``(channels, n)``, n may be 0 (bytes came, but no whole sample yet).

    ``probabilities`` has one array per channel: one value (0..1) for every 512-sample window that this block completes,
    counted from the start of the stream. The machine copies what it keeps.
    """

    pcm: PcmBlock
    probabilities: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """The client is there though it sends no audio. Resets the idle limit; no audio time passes."""


@dataclass(frozen=True, slots=True)
class Finalize:
    """Give finals for everything received so far; the stream goes on.

    ``channel_index`` None means all. ``text`` is the message as it came, for the reply if there is no such channel.
    """

    channel_index: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class CloseStream:
    """The client has sent everything: finals, then ``Metadata``, then ``Closed(1000)``. An empty frame means the same."""


@dataclass(frozen=True, slots=True)
class Configure:
    """Change settings in mid-stream. None: not mentioned. ``numerals`` is the dialect's to obey, from its reply on."""

    keyterms: tuple[str, ...] | None = None
    numerals: bool | None = None


@dataclass(frozen=True, slots=True)
class Unparsable:
    """A text message that is none of the above."""

    text: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A job's result. Times in the hypothesis count from the first sample of the job's audio."""

    job_id: int
    hypothesis: Hypothesis


@dataclass(frozen=True, slots=True)
class DecodeFailed:
    """A job that will have no result: the pool has given up on it."""

    job_id: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing came until ``deadline()``."""


@dataclass(frozen=True, slots=True)
class ReadingPaused:
    """The shell has stopped reading from the client (backpressure): silence on the wire is now our own doing."""


@dataclass(frozen=True, slots=True)
class ReadingResumed:
    """The shell reads again; idle limits start anew."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The server is stopping: as ``CloseStream``, but with close code 1001."""


@dataclass(frozen=True, slots=True)
class Abort:
    """The stream cannot go on (audio that does not decode, an internal error): close at once, no finals."""

    code: int
    reason: str


Control = KeepAlive | Finalize | CloseStream | Configure | Unparsable
StreamInput = Audio | Control | Decoded | DecodeFailed | Tick | ReadingPaused | ReadingResumed | Shutdown | Abort

# ---- out ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Results:
    """What was said between ``start_samples`` and ``start_samples + duration_samples`` on one channel.

    Finals (``is_final``) of a channel tile its timeline. Words lie inside, on the stream's timeline, in order. The first
    ``stable_words`` of an interim will stand in every later interim of the segment. ``language`` is Whisper's code, None
    if nothing was decoded. ``is_lost``: there was speech, but its decode failed for good.
    """

    channel_index: int
    channels: int
    start_samples: int
    duration_samples: int
    words: tuple[Word, ...]
    is_final: bool
    speech_final: bool = False
    from_finalize: bool = False
    language: str | None = None
    stable_words: int = 0
    is_lost: bool = False

    @property
    def start_s(self) -> float:
        """Start on the stream's timeline, in seconds."""
        return seconds(self.start_samples)

    @property
    def duration_s(self) -> float:
        """Audio covered, in seconds."""
        return seconds(self.duration_samples)

    @property
    def end_samples(self) -> int:
        """Where the covered audio ends."""
        return self.start_samples + self.duration_samples


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at ``onset_samples``."""

    channel_index: int
    channels: int
    onset_samples: int

    @property
    def onset_s(self) -> float:
        """Onset in seconds."""
        return seconds(self.onset_samples)


@dataclass(frozen=True, slots=True)
class UtteranceEnd:
    """No word followed the one that ended at ``last_word_end_s`` for the asked time."""

    channel_index: int
    channels: int
    last_word_end_s: float


@dataclass(frozen=True, slots=True)
class Metadata:
    """The sum of the stream, sent once, before a regular close. ``channels`` is 0 if no audio came."""

    duration_samples: int
    channels: int

    @property
    def duration_s(self) -> float:
        """All audio received, in seconds."""
        return seconds(self.duration_samples)


@dataclass(frozen=True, slots=True)
class SchemaError:
    """The reply to a text message that could not be used. ``text`` is the message as it came."""

    text: str


class ConfigureFailure(str, Enum):
    """Why a ``Configure`` was refused."""

    KEYTERMS_NOT_SUPPORTED = "keyterms_not_supported"
    KEYTERM_LIMIT_EXCEEDED = "keyterm_limit_exceeded"


@dataclass(frozen=True, slots=True)
class ConfigureReply:
    """The one reply to a ``Configure``. ``failure`` None: accepted as it stands."""

    request: Configure
    failure: ConfigureFailure | None = None


@dataclass(frozen=True, slots=True)
class SegmentLost:
    """The decode of a final failed for good; its ``Results`` came out empty. For logs and metrics, not for the client."""

    channel_index: int
    start_samples: int
    duration_samples: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The last event: close the connection with this code and reason."""

    code: int
    reason: str = ""


StreamEvent = Results | SpeechStarted | UtteranceEnd | Metadata | SchemaError | ConfigureReply | SegmentLost | Closed


@dataclass(frozen=True, slots=True, eq=False)
class DecodeJob:
    """A decode that is wanted.

    ``pcm`` is a copy that belongs to whoever took the job; ``start_samples`` is the position of its first sample.
    """

    job_id: int
    channel_index: int
    pcm: Pcm16k
    start_samples: int
    job_class: JobClass
