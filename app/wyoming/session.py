"""What one Wyoming client asks, one command after the other: each is a live stream, decoded while it is spoken."""

from __future__ import annotations

import asyncio

from structlog.contextvars import clear_contextvars
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.ping import Ping, Pong

from app.dialects.wyoming_events import (
    Request,
    Transcription,
    live_options,
    parse_format,
    parse_request,
    render_error,
    render_info,
)
from app.domain.audio import AudioFormat
from app.domain.errors import ClientGone, EngineFailed, InvalidParameter, SlowUpload, SttError
from app.domain.stream.events import CloseStream, Control, StreamEvent
from app.services.catalog import Catalog
from app.services.live import LiveStreams
from app.services.only_english import settled_stream
from app.services.stream import StreamCounts
from app.services.usage_log import UsageLog
from app.telemetry import logger
from app.wyoming.connection import Connection
from app.wyoming.recorded import RecordedCommand

IDLE_S = 300.0
"""Seconds that a client may hold its connection between two commands. Home Assistant opens one for each."""

_REGULAR_ENDS = frozenset({1000, 1001})
"""Codes of streams whose finals have all been sent: the client's wish, and a server that stops."""

_log = logger(__name__)


class Session:
    """One connection. ``language`` is for commands that name none; None: detect it."""

    def __init__(
        self, connection: Connection, live: LiveStreams, catalog: Catalog, language: str | None, usage: UsageLog
    ) -> None:
        self._connection = connection
        self._live = live
        self._catalog = catalog
        self._language = language
        self._usage = usage
        self._request = Request(language=language)
        self._is_asked = False

    async def run(self) -> None:
        """Serve the client until it leaves, or until something goes wrong and it has been told."""
        try:
            while (event := await self._connection.next(IDLE_S)) is not None:
                await self._take(event)
        except ClientGone:
            pass
        except SttError as error:
            _log.info("command refused", kind=error.kind.value)
            await self._connection.refuse(render_error(error))
        except Exception:  # noqa: BLE001 - a server must outlive what goes wrong for one client
            _log.exception("unexpected error")
            await self._connection.refuse(render_error(EngineFailed()))

    async def _take(self, event: Event) -> None:
        clear_contextvars()  # a command that was before is over
        if Transcribe.is_type(event.type):
            try:
                self._request = parse_request(event, self._language)
            except SttError:
                async with RecordedCommand(self._usage).running():  # it counts as refused
                    raise
            self._is_asked = True
        elif AudioStop.is_type(event.type) and self._is_asked:  # the client waits for what was said in no sound at all
            self._is_asked = False
            await self._connection.send(*Transcription().end())
        elif AudioStart.is_type(event.type) or AudioChunk.is_type(event.type):
            await self._transcribe(event)
        else:
            await self.reply(event)

    async def reply(self, event: Event) -> None:
        """Answer what may be asked at any time; other events are for other services."""
        if Describe.is_type(event.type):
            models = await asyncio.to_thread(self._catalog.installed)
            default = await asyncio.to_thread(self._catalog.default)
            await self._connection.send(render_info(models, default.info.name))
        elif Ping.is_type(event.type):
            await self._connection.send(Pong(text=event.data.get("text")).event())

    async def _transcribe(self, first: Event) -> None:
        self._is_asked = False
        command = RecordedCommand(self._usage)
        async with command.running():
            audio_format = parse_format(first)
            options = await asyncio.to_thread(settled_stream, live_options(self._request, audio_format), self._catalog)
            async with self._live.admit(options) as stream:
                await command.begin()
                link = _Link(self, self._connection, audio_format, first, command)
                counts = await stream.run(link)
            if link.failure is not None:
                raise link.failure
        _log_work(stream.model.info.name, counts)


class _Link:
    """Joins a connection into a ``ClientLink`` for one command. ``failure`` is why there was no transcript."""

    def __init__(
        self,
        session: Session,
        connection: Connection,
        audio_format: AudioFormat,
        first: Event,
        command: RecordedCommand,
    ) -> None:
        self.failure: SttError | None = None
        self._session = session
        self._connection = connection
        self._format = audio_format
        self._first: Event | None = first
        self._command = command
        self._has_stopped = False
        self._transcription = Transcription()

    async def receive(self) -> bytes | Control | None:
        while not self._has_stopped:
            event, self._first = self._first or await self._connection.next(), None
            if event is None:
                return None
            if AudioChunk.is_type(event.type):
                if parse_format(event) != self._format:
                    raise InvalidParameter("The format of the sound must not change before audio-stop.")
                if event.payload:
                    return event.payload
            elif AudioStop.is_type(event.type):
                self._has_stopped = True
                return CloseStream()
            else:
                await self._session.reply(event)
        if await self._connection.peek():  # the next command has come, and waits for its turn
            await asyncio.Event().wait()
        return None

    async def send(self, event: StreamEvent, sha256: str) -> None:
        await self._connection.send(*self._transcription.take(event))

    async def close(self, code: int, reason: str) -> None:
        if code not in _REGULAR_ENDS:
            self.failure = SlowUpload("No audio came for too long.") if reason == "NET-0001" else EngineFailed()
            return
        try:
            events = self._transcription.end()
        except EngineFailed as failure:
            self.failure = failure
        else:
            await self._command.finish()
            await self._connection.send(*events)


def _log_work(model: str, counts: StreamCounts) -> None:
    _log.info(
        "command transcribed",
        model=model,
        audio_s=round(counts.audio_s, 3),
        finals=counts.finals,
        lost_segments=counts.lost_segments,
        decode_s=round(counts.decode_s, 4),
        queue_s=round(counts.queue_s, 4),
    )
