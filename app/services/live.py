"""Live streams: admission, what each needs, and an orderly end when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

from app.domain.audio import AudioFormat, AudioLimits
from app.domain.errors import InvalidParameter, Overloaded, Unavailable, UnsupportedModel
from app.domain.options import DecodeOptions, LiveOptions
from app.domain.ports import EnginePool, EngineSession, InstalledModel, LiveDiarizer, StreamDecoder, StreamDecoders, Vad
from app.domain.transcript import ModelInfo, RequestWarning
from app.services.catalog import Catalog
from app.services.hearing import Hearing
from app.services.inbox import ClientLink
from app.services.joint_vad import JointVad
from app.services.residency import ResidentModels
from app.services.stream import LiveStream, StreamCounts
from app.services.stream_speakers import StreamSpeakers
from app.services.transcribe import DecodingDefaults, ability_warnings, estimate_warnings
from app.services.usage_entry import current_usage
from app.telemetry import logger

INLINE_S = 0.5
"""Headerless audio up to this length is heard in the event loop itself: 0.5 ms for 100 ms of it, 3 ms at most, nearly all of
it speech detection. A thread would add 0.1 to 0.2 ms to each message and take none of that off the interpreter."""

_log = logger(__name__)

_SAMPLE_BYTES = {"linear16": 2, "linear32": 4, "mulaw": 1, "alaw": 1}
_PACKET_ENCODINGS = frozenset({"opus", "speex"})
_PACKET_BYTES = 4096
"""One packet is all that a message of these encodings holds, and this is more than the largest."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """``max_streams`` at a time; ``idle_timeout_s``: seconds without audio or KeepAlive before one is closed."""

    max_streams: int
    idle_timeout_s: float


class LiveStreams:
    """The use case behind ``WS /v1/listen`` and every other way speech comes in while it is spoken."""

    def __init__(
        self,
        decoders: StreamDecoders,
        vad: Vad,
        catalog: Catalog,
        models: ResidentModels,
        limits: AudioLimits,
        stream_limits: StreamLimits,
        defaults: DecodingDefaults,
        diarizer: LiveDiarizer | None = None,
    ) -> None:
        self._decoders = decoders
        self._vad = JointVad(vad)
        self._catalog = catalog
        self._models = models
        self._limits = limits
        self._stream_limits = stream_limits
        self._defaults = defaults
        self.diarizer = diarizer
        """Tells speakers apart; None: switched off on this server."""
        self._running: set[LiveStream] = set()
        self._admitted = 0
        self._all_gone = asyncio.Event()
        self._stopping = False

    @property
    def active(self) -> int:
        """Streams admitted now."""
        return self._admitted

    @asynccontextmanager
    async def admit(self, options: LiveOptions) -> AsyncIterator[AdmittedStream]:
        """Check the request and take a permit, before the handshake is answered.

        Raises ``UnsupportedModel`` or ``InvalidParameter`` for what cannot be done, ``Overloaded`` or ``Unavailable`` for
        what cannot be done now.
        """
        if self._stopping:
            raise Unavailable
        if self._admitted >= self._stream_limits.max_streams:
            raise Overloaded(retry_after_s=5.0)
        self._admitted += 1
        self._all_gone.clear()
        try:
            wanted = None if options.code_switching else options.language
            resolution = self._catalog.resolve(options.model, wanted)
            model = resolution.model
            if options.translate and not model.translates:
                raise InvalidParameter(f"translate: the model `{model.info.name}` cannot translate", parameter="translate")
            if not set(options.language_hints) <= set(model.languages):
                raise UnsupportedModel
            decode = replace(
                self._defaults.options(options.decoding),
                language=resolution.language,
                languages=options.language_hints or model.languages,
                translate=options.translate,
                prompt=options.prompt,
                keyterms=options.keyterms,
            )
            if (usage := current_usage()) is not None:
                usage.note_request(options, model.info, resolution.language)
            async with self._models.use(model) as pool:
                takes_keyterms = pool.capabilities.favours_terms
                if options.keyterms and not takes_keyterms:
                    _log.warning("key terms have no effect: the engine cannot favour them")
                options = replace(options, stream=replace(options.stream, takes_keyterms=takes_keyterms))
                decoder = self._decoders.open(options.audio_format, self._limits)
                try:
                    async with pool.admit(live=True) as session:
                        yield AdmittedStream(self, model, pool, session, decoder, options, decode)
                finally:
                    decoder.close()
        finally:
            self._admitted -= 1
            if not self._admitted:
                self._all_gone.set()

    async def run(self, stream: AdmittedStream, link: ClientLink) -> StreamCounts:
        """Serve one admitted client until it or the server ends the stream."""
        options = stream.options
        live = LiveStream(
            link,
            stream.session,
            Hearing(
                stream.decoder,
                self._vad,
                multichannel=options.multichannel,
                inline_bytes=inline_bytes(options.audio_format),
            ),
            replace(options.stream, idle_timeout_s=self._stream_limits.idle_timeout_s),
            stream.decode,
            StreamSpeakers(self.diarizer) if options.diarize and self.diarizer is not None else None,
        )
        if (usage := current_usage()) is not None:
            usage.note_stream(lambda: (live.counts.audio_s, (stream.decoder.channels or 1) if options.multichannel else 1))
        self._running.add(live)
        try:
            if self._stopping:
                live.shut_down()
            await live.run()
        finally:
            self._running.discard(live)
        return live.counts

    async def drain(self, timeout_s: float) -> None:
        """Admit no more, let every stream send its last finals and close; wait for that at most ``timeout_s`` seconds."""
        self._stopping = True
        for live in list(self._running):
            live.shut_down()
        if self._admitted:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), timeout_s)


def inline_bytes(declared: AudioFormat | None) -> int:
    """Messages up to this size are cheap enough for the event loop; 0: none are."""
    if declared is None:
        return 0
    if declared.encoding in _PACKET_ENCODINGS:
        return _PACKET_BYTES
    width = _SAMPLE_BYTES.get(declared.encoding, 0)
    return round(INLINE_S * declared.sample_rate) * declared.channels * width


@dataclass(slots=True)
class AdmittedStream:
    """The right to stream, and all that was decided at the handshake."""

    streams: LiveStreams
    model: InstalledModel
    pool: EnginePool
    session: EngineSession
    decoder: StreamDecoder
    options: LiveOptions
    decode: DecodeOptions

    @property
    def diarizer(self) -> ModelInfo | None:
        """What tells the stream's speakers apart, if they are to be."""
        diarizer = self.streams.diarizer if self.options.diarize else None
        return None if diarizer is None else diarizer.info

    def doubts(self) -> tuple[RequestWarning, ...]:
        """What was asked of the engine in vain, and what of its results so far is not measured."""
        capabilities = self.pool.capabilities
        unable = ability_warnings(capabilities, self.options.keyterms, self.options.decoding)
        return unable + estimate_warnings(capabilities)

    async def run(self, link: ClientLink) -> StreamCounts:
        """Serve the client behind ``link``."""
        return await self.streams.run(self, link)
