"""``WS /ws/transcribe``: bare samples in while somebody speaks, text out."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketState

from app.api.auth import chosen_subprotocol
from app.api.errors import error_response
from app.api.openai_socket import OpenAiSocket
from app.api.plain_auth import authorise_plainly
from app.dialects.plain_options import parse_query, parse_stream
from app.dialects.plain_stream import PlainStream, parse_message
from app.domain.errors import SttError
from app.domain.stream.events import Control, KeepAlive, StreamEvent
from app.services.bundle import Services
from app.services.only_english import settled_stream
from app.settings import Settings
from app.telemetry import Metrics

router = APIRouter()


@router.websocket("/ws/transcribe")
async def transcribe_live(socket: WebSocket) -> None:
    """Refused with an HTTP status before the upgrade, or accepted and served to its end."""
    services = cast("Services", socket.app.state.services)
    settings = cast("Settings", socket.app.state.settings)
    metrics = cast("Metrics", socket.app.state.metrics)
    try:
        await authorise_plainly(socket, services.accounts if settings.auth else None)
        asked = parse_stream(parse_query(socket.scope["query_string"]))
        async with services.live.admit(await run_in_threadpool(settled_stream, asked, services.catalog)) as stream:
            await socket.accept(chosen_subprotocol(socket))
            messages = OpenAiSocket(socket, settings.stream_idle_timeout_s / 2)
            language = "en" if stream.options.translate else stream.decode.language
            try:
                with metrics.active_requests.labels("stream").track_inprogress():
                    counts = await stream.run(_Link(messages, PlainStream(language)))
            finally:
                await messages.forget()
    except SttError as error:
        if socket.application_state is not WebSocketState.CONNECTING:
            raise
        await socket.send_denial_response(error_response(error, socket.state.request_id, socket.scope["path"]))
        return
    metrics.count_stream(counts.audio_s, counts.queue_s, counts.decode_s, counts.dropped_jobs, counts.lost_segments)


class _Link:
    """Joins a connection and the plain dialect into a ``ClientLink``."""

    def __init__(self, messages: OpenAiSocket, stream: PlainStream) -> None:
        self._messages = messages
        self._stream = stream

    async def receive(self) -> bytes | Control | None:
        while True:
            message = await self._messages.receive()
            if message is None or isinstance(message, KeepAlive):
                return message
            item = parse_message(message)
            if item is not None:
                return item

    async def send(self, event: StreamEvent, sha256: str) -> None:
        message = self._stream.render(event)
        if message is not None:
            await self._messages.send([message])

    async def close(self, code: int, reason: str) -> None:
        await self._messages.close(code, reason)
