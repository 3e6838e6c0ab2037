"""What the services need from the outside, as Protocols. Adapters fulfil them; ``app/wiring.py`` joins the two.

Everything in a signature is a domain type, so any adapter can be replaced by a scripted one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from app.domain.audio import WHOLE, AudioFormat, AudioLimits, Pcm16k, PcmBlock, TimeRange
from app.domain.jobs import Callback
from app.domain.options import DecodeOptions
from app.domain.speakers import SpeakerTurn
from app.domain.transcript import Hypothesis, LanguageGuess, ModelInfo, Word


@dataclass(frozen=True, slots=True)
class EngineCapabilities:
    """What a loaded model can do. ``languages``: Whisper codes; ``max_window_s``: most seconds of audio one decode takes.

    ``favours_terms``: ``DecodeOptions.keyterms`` have an effect; ``searches``: ``beam_size`` and ``best_of`` have one.
    ``times_words``: the words' times are measured, not spread over the sound; ``rates_words``: their confidences are their
    own. Engines elsewhere may show either only as they answer.
    ``context_step_s``: with ``DecodeOptions.fit_context`` less audio is less work, in steps of so many seconds; 0: never.
    ``may_begin_in_vain``: a decode that is broken off again costs this machine and its operator next to nothing.
    """

    languages: tuple[str, ...]
    multilingual: bool
    translates: bool
    max_window_s: float = 30.0
    favours_terms: bool = False
    searches: bool = True
    times_words: bool = True
    rates_words: bool = True
    context_step_s: float = 0.0
    may_begin_in_vain: bool = False


class Engine(Protocol):
    """Decodes one window at a time; owned by one worker; never called from two threads.

    ``transcribe`` takes up to ``capabilities.max_window_s`` of audio and returns times relative to its first sample.
    ``should_abort`` is polled during the decode; once it returns True the call ends with ``Aborted``.
    ``detect_language`` returns guesses for ``among`` (empty: all the model knows), most probable first.
    Both raise ``EngineFailed`` when the decoder reports an error.
    """

    capabilities: EngineCapabilities

    def transcribe(self, pcm: Pcm16k, options: DecodeOptions, should_abort: Callable[[], bool]) -> Hypothesis: ...

    def detect_language(self, pcm: Pcm16k, among: tuple[str, ...] = ()) -> tuple[LanguageGuess, ...]: ...


class Aborted(Exception):  # a signal between pool and engine, not a failure; it never reaches a client
    """The decode was stopped because nobody waits for it any more."""


class JobClass(IntEnum):
    """Urgency of a decode, most urgent first (design section 3). A speculation is a final's decode that may be in vain."""

    FINALIZE = 0
    FINAL = 1
    SPECULATION = 2
    SHORT_RECORDING = 3
    LONG_RECORDING = 4
    INTERIM = 5


class EngineSession(Protocol):
    """One client's right to use a model's workers. Jobs of different sessions of one class take turns.

    Both coroutines may be awaited concurrently. Cancelling one drops the job if it waits and aborts it if it runs. A worker
    that dies under a job is replaced and the job is tried once more; then ``EngineFailed``. An ``INTERIM`` may be given up
    at any time, for a final or because it waited too long, and a ``SPECULATION`` at once, because of finals: ``Aborted``.
    """

    async def transcribe(self, pcm: Pcm16k, options: DecodeOptions, job_class: JobClass) -> Hypothesis: ...

    async def detect_language(
        self, pcm: Pcm16k, among: tuple[str, ...], job_class: JobClass
    ) -> tuple[LanguageGuess, ...]: ...


@dataclass(slots=True)
class PoolStats:
    """Gauges (``workers`` alive, ``busy``, ``waiting``, ``admitted``) and counters since the start, for metrics.

    ``shed`` counts interims given up for finals, or because they had waited too long.
    """

    workers: int = 0
    busy: int = 0
    waiting: int = 0
    admitted: int = 0
    done: int = 0
    failed: int = 0
    aborted: int = 0
    restarts: int = 0
    shed: int = 0
    decode_s: float = 0.0
    queue_s: float = 0.0


class EnginePool(Protocol):
    """The workers of one model and the bounded queue in front of them."""

    capabilities: EngineCapabilities
    workers: int

    def stats(self) -> PoolStats: ...

    def admit(self, *, live: bool = False) -> AbstractAsyncContextManager[EngineSession]:
        """Take a permit before any work: raises ``Overloaded`` or ``Unavailable`` at once, never waits.

        ``live`` sessions take none of the permits for recordings: the number of streams is limited where they come in.
        """
        ...

    async def close(self) -> None:
        """Stop the workers. Jobs still running are aborted."""
        ...


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A model that can be served: weights on this machine, or another server (``is_remote``: no path, no size)."""

    info: ModelInfo
    path: Path
    size_bytes: int
    languages: tuple[str, ...]
    multilingual: bool
    translates: bool
    is_selftest: bool = False
    is_remote: bool = False


class VadStream(Protocol):
    """Voice activity of one channel, fed in any split; keeps its own state.

    ``feed`` returns one speech probability (0..1) per complete window, shape ``(k,)``; a remainder waits for the next call.
    """

    def feed(self, pcm: Pcm16k) -> NDArray[np.float32]: ...


class Vad(Protocol):
    """Makes streams, which share the weights. ``name`` says which detector it is; ``window_samples`` is one window's length.

    ``feed_all`` feeds several streams, each at most once, and returns what their ``feed`` would, within 1e-5, for less.
    ``score`` rates a whole piece at once: what a fresh stream would answer for it with silence added up to a full window,
    shape ``(ceil(n / window_samples),)``.
    """

    name: str
    window_samples: int

    def stream(self) -> VadStream: ...

    def feed_all(self, pieces: Sequence[tuple[VadStream, Pcm16k]]) -> list[NDArray[np.float32]]: ...

    def score(self, pcm: Pcm16k) -> NDArray[np.float32]: ...


class SpeakerSession(Protocol):
    """One channel of a recording, fed from front to back in any split, from one thread at a time. Blocking.

    ``probabilities`` are those of the windows that ``pcm`` completes (``VadStream``). ``turns``, once at the end, are in
    order of their starts, speakers numbered as they first speak; none if nobody speaks. ``close`` may come at any time from
    any thread, any number of times: a call that works then ends soon, and what it returns is worth nothing.
    """

    def feed(self, pcm: Pcm16k, probabilities: NDArray[np.float32]) -> None: ...

    def turns(self) -> tuple[SpeakerTurn, ...]: ...

    def close(self) -> None: ...


class LiveSpeakers(Protocol):
    """One channel of a live stream. Cheap enough for the event loop: under 1 ms for a second of sound.

    ``final`` names the speakers of a final that covers the sound up to ``end_s``; finals come in order and cover everything.
    A label is never changed and means the same voice all along. ``interim`` is a guess that leaves no trace. Memory is
    bounded by the sound that no final has covered yet.
    """

    def feed(self, pcm: Pcm16k, probabilities: NDArray[np.float32]) -> None: ...

    def final(self, words: Sequence[Word], end_s: float) -> tuple[Word, ...]: ...

    def interim(self, words: Sequence[Word], end_s: float) -> tuple[Word, ...]: ...


class Diarizer(Protocol):
    """Tells the speakers of recordings apart. ``info`` names it in responses."""

    info: ModelInfo

    def session(self) -> SpeakerSession: ...


class LiveDiarizer(Protocol):
    """Tells the speakers of live streams apart. ``info`` names it in responses."""

    info: ModelInfo

    def live(self) -> LiveSpeakers: ...


class DecodedAudio(Protocol):
    """An opened recording, read once from front to back.

    ``channels`` and ``sample_rate`` are those of the source; ``blocks`` yields 16 kHz pieces of bounded length, of the part
    that was asked for only, and raises ``BadAudio`` or ``PayloadTooLarge`` on the way.
    """

    channels: int
    sample_rate: int

    def blocks(self) -> Iterator[PcmBlock]: ...


class AudioDecoder(Protocol):
    """Sniffs the bytes and decodes them; headers and names are never trusted. Blocking: call it in a thread.

    Raises ``BadAudio`` for what is not audio and for too many channels, ``PayloadTooLarge`` for too many seconds.
    """

    def open(
        self, source: BinaryIO, declared: AudioFormat | None, limits: AudioLimits, part: TimeRange = WHOLE
    ) -> AbstractContextManager[DecodedAudio]: ...


class StreamDecoder(Protocol):
    """One live connection's audio, fed in any split (encodings without framing of their own: one packet per call).

    Calls may come from different threads, one after the other; only ``close`` may come beside another call. ``channels`` is
    None until it is known and never changes afterwards.
    """

    @property
    def channels(self) -> int | None: ...

    def feed(self, data: bytes) -> PcmBlock:
        """What became decodable, shape ``(channels, n)``; ``n`` may be 0 and waits for nothing that has not been fed.

        May take the time of decoding. Raises ``BadAudio`` when the bytes cannot be decoded; sound that was decoded before
        is returned first, and the next call raises.
        """
        ...

    def flush(self) -> PcmBlock:
        """The rest. Afterwards the decoder is used up. Raises like ``feed``."""
        ...

    def close(self) -> None:
        """Give everything back, at any time, any number of times."""
        ...


class StreamDecoders(Protocol):
    """Makes decoders. ``open`` raises ``InvalidParameter`` for a declared format that cannot be decoded."""

    def open(self, declared: AudioFormat | None, limits: AudioLimits) -> StreamDecoder: ...


class KeyStatus(str, Enum):
    """Whether a key opens anything at a given moment."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A stored key, without its secret. Times are aware UTC; ``prefix`` are the first characters of the secret.

    ``tags`` are labels that whoever made it gave it. ``revoked`` lies in the future while a replaced key is still accepted
    for a grace period.
    """

    key_id: str
    prefix: str
    name: str
    scopes: tuple[str, ...]
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None
    tags: tuple[str, ...] = ()

    def status(self, now: datetime) -> KeyStatus:
        """What the key is at ``now`` (aware). It ends at the exact moment of ``revoked`` or ``expires``."""
        if self.revoked is not None and self.revoked <= now:
            return KeyStatus.REVOKED
        if self.expires is not None and self.expires <= now:
            return KeyStatus.EXPIRED
        return KeyStatus.ACTIVE


class KeyStore(Protocol):
    """Keys by the hash of their secret, shared by threads and by processes. Blocking: call it in a thread.

    Every call sees what other processes have committed before it. All raise ``Unavailable`` when the store cannot be
    reached; ``add``, ``add_first`` and ``replace`` raise ``ValueError`` for an id or a hash that is there already.
    """

    def add(self, key: ApiKey, secret_hash: str) -> None: ...

    def add_first(self, key: ApiKey, secret_hash: str) -> bool:
        """Add the key only if the store has never held one, in one step. False: it holds some, nothing was added."""
        ...

    def replace(self, key_id: str, when: datetime, successor: ApiKey, secret_hash: str) -> bool:
        """Revoke ``key_id`` from ``when`` on and add its successor, both or neither.

        False: there is no such key, or it is revoked or replaced already; nothing was changed.
        """
        ...

    def find(self, secret_hash: str) -> ApiKey | None: ...

    def get(self, key_id: str) -> ApiKey | None: ...

    def all(self) -> Sequence[ApiKey]:
        """Every key, revoked and expired ones included, oldest first."""
        ...

    def revoke(self, key_id: str, when: datetime) -> bool:
        """Revoke the key from ``when`` on. False: there is no such key, or it was revoked no later than that."""
        ...

    def touch(self, key_id: str, when: datetime) -> None:
        """Record a use. Never moves the time of last use back; an unknown key is ignored."""
        ...

    def close(self) -> None:
        """Give back what is held open. A later call opens it again."""
        ...


class Fetcher(Protocol):
    """Downloads audio named by a client, from global addresses only.

    Writes at most ``max_bytes`` into ``target`` and returns the number written. Raises ``RemoteContentError`` for addresses,
    redirects, statuses and time limits, ``PayloadTooLarge`` for too many bytes.
    """

    async def fetch(self, url: str, target: BinaryIO, max_bytes: int) -> int: ...


class DeliveryFailed(Exception):
    """An answer did not reach its callback. The message may be stored and shown to the operator: it holds no URL."""


class Deliverer(Protocol):
    """Sends answers to addresses that clients name, from public hosts only unless the operator allowed others.

    ``check`` raises ``InvalidRequest`` for what is no URL of HTTP and ``RemoteContentError`` for a host that may not be
    called. ``deliver`` makes one attempt, checking the address again; anything but a 2xx is ``DeliveryFailed``.
    """

    async def check(self, url: str) -> None: ...

    async def deliver(self, callback: Callback, body: bytes, headers: Mapping[str, str]) -> None: ...


class CallbackSink(Protocol):
    """Where the messages of one live stream go, in order. ``send`` raises ``DeliveryFailed`` when they can go no further."""

    async def send(self, text: str) -> None: ...

    async def dropped(self) -> None:
        """Return when the other side has gone. Where there is no standing connection: never."""
        ...

    async def close(self) -> None: ...


class LiveCallbacks(Protocol):
    """Opens sinks for http, https, ws and wss. Raises as ``Deliverer.check`` does, also when nobody answers a ws URL.

    ``headers`` go with every request, or with the handshake.
    """

    async def open(self, callback: Callback, headers: Mapping[str, str]) -> CallbackSink: ...
