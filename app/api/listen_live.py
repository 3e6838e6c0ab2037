"""``WS /v1/listen``: speech in while it is spoken, words out (contract 3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Protocol, cast

from fastapi import APIRouter, WebSocket
from starlette.types import Message
from starlette.websockets import WebSocketDisconnect, WebSocketState

from app.api.auth import LISTEN_SCOPE, authorise, chosen_subprotocol
from app.api.callbacks import callback_headers
from app.api.errors import error_response
from app.api.live_callback import CallbackLink, opened_sink
from app.dialects.deepgram_live import LiveRequest, parse_live
from app.dialects.deepgram_stream import StreamFacts, StreamRenderer, parse_binary, parse_text
from app.domain.errors import ClientGone, SttError
from app.domain.ports import CallbackSink
from app.domain.stream.events import Control, StreamEvent
from app.services.bundle import Services
from app.services.inbox import ClientLink
from app.services.live import AdmittedStream
from app.services.stream import StreamCounts
from app.settings import Settings
from app.telemetry import Metrics, logger

DIRECT_MESSAGES = "direct_messages"
"""The extension of the scope under which our own server offers its connection, for messages by calls."""

router = APIRouter()
_log = logger(__name__)


@router.websocket("/v1/listen")
async def listen_live(socket: WebSocket) -> None:
    """Refused with an HTTP status before the upgrade, or accepted and served to its end."""
    services = cast("Services", socket.app.state.services)
    settings = cast("Settings", socket.app.state.settings)
    metrics = cast("Metrics", socket.app.state.metrics)
    created = datetime.now(timezone.utc)
    try:
        key = await authorise(socket, services.accounts if settings.auth else None, LISTEN_SCOPE)
        asked = parse_live(socket.scope["query_string"], settings.max_channels)
        headers = callback_headers(socket.state.request_id, "" if key is None else key.key_id)
        async with (
            services.live.admit(asked.options) as stream,
            opened_sink(services.live_callbacks, asked.callback, headers) as sink,
        ):
            await socket.accept(chosen_subprotocol(socket), headers=_model_headers(stream))
            with metrics.active_requests.labels("stream").track_inprogress():
                renderer = _renderer(socket, stream, asked, created)
                counts = await stream.run(_link(socket, renderer, sink))
    except SttError as error:
        if socket.application_state is not WebSocketState.CONNECTING:
            raise
        await socket.send_denial_response(error_response(error, socket.state.request_id))
        return
    metrics.count_stream(counts.audio_s, counts.queue_s, counts.decode_s, counts.dropped_jobs, counts.lost_segments)
    _log_work(stream, asked, counts)


def _model_headers(stream: AdmittedStream) -> list[tuple[bytes, bytes]]:
    info = stream.model.info
    return [(b"dg-model-name", info.name.encode()), (b"dg-model-uuid", info.uuid.encode())]


def _renderer(socket: WebSocket, stream: AdmittedStream, asked: LiveRequest, created: datetime) -> StreamRenderer:
    options = stream.options
    facts = StreamFacts(socket.state.request_id, stream.model.info, created, asked.extra, stream.diarizer)
    language = "en" if options.translate else stream.decode.language or "en"
    return StreamRenderer(
        facts,
        options.text,
        language,
        code_switching=options.code_switching,
        hints=options.language_hints,
        doubts=stream.doubts,
    )


class DirectConnection(Protocol):
    """What that extension holds as ``connection``; see ``DirectLink`` for what its calls mean."""

    def deliver_to(self, take: Callable[[bytes | str | None], None]) -> None: ...

    def hold_back(self, hold: bool) -> None: ...

    def send_now(self, text: str) -> bool: ...


def _link(socket: WebSocket, renderer: StreamRenderer, sink: CallbackSink | None) -> ClientLink:
    if sink is not None:
        return CallbackLink(_Link(socket, renderer), sink, renderer)
    offered = socket.scope.get("extensions", {}).get(DIRECT_MESSAGES)
    return _Link(socket, renderer) if offered is None else _DirectLink(socket, renderer, offered["connection"])


class _Link:
    """Joins a WebSocket and Deepgram's dialect into a ``ClientLink``."""

    def __init__(self, socket: WebSocket, renderer: StreamRenderer) -> None:
        self._socket = socket
        self._renderer = renderer
        self._gone = False

    async def receive(self) -> bytes | Control | None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                self._gone = True
                return None
            data = message.get("bytes")
            item = _parsed((message.get("text") or "") if data is None else data)
            if item is not None:
                return item

    async def send(self, event: StreamEvent, sha256: str) -> None:
        message = self._renderer.render(event, sha256)
        if message is not None:
            await self._out({"type": "websocket.send", "text": message})

    async def close(self, code: int, reason: str) -> None:
        await self._out({"type": "websocket.close", "code": code, "reason": reason})

    async def _out(self, message: Message) -> None:
        if not self._gone:
            try:
                await self._socket.send(message)
            except (WebSocketDisconnect, RuntimeError):
                # The second is how servers say that they have closed the connection themselves: a message was too large,
                # or a ping was not answered.
                self._gone = True
        if self._gone:
            raise ClientGone


class _DirectLink(_Link):
    """The same for a ``DirectLink``: only what does not go through at once takes the way through ASGI."""

    def __init__(self, socket: WebSocket, renderer: StreamRenderer, connection: DirectConnection) -> None:
        super().__init__(socket, renderer)
        self._connection = connection

    def listen(self, put: Callable[[bytes | Control | None], None]) -> None:
        def take(message: bytes | str | None) -> None:
            if message is None:
                self._gone = True
                put(None)
            elif (item := _parsed(message)) is not None:
                put(item)

        self._connection.deliver_to(take)

    def hold_back(self, hold: bool) -> None:
        self._connection.hold_back(hold)

    def send_now(self, event: StreamEvent) -> bool:
        message = self._renderer.render(event, "")
        return message is None or self._connection.send_now(message)


def _parsed(message: bytes | str) -> bytes | Control | None:
    if isinstance(message, bytes):
        return parse_binary(message) or message
    return parse_text(message)


def _log_work(stream: AdmittedStream, asked: LiveRequest, counts: StreamCounts) -> None:
    _log.info(
        "stream ended",
        model=stream.model.info.name,
        audio_s=round(counts.audio_s, 3),
        finals=counts.finals,
        interims=counts.interims,
        dropped_jobs=counts.dropped_jobs,
        lost_segments=counts.lost_segments,
        decode_s=round(counts.decode_s, 4),
        queue_s=round(counts.queue_s, 4),
        without_effect=asked.without_effect,
    )
