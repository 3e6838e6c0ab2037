"""``WS /v1/audio/stream``: the streaming side of the Diction keyboard. Its REST side is OpenAI's."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocketState

from app.api.auth import LISTEN_SCOPE, authorise, chosen_subprotocol
from app.api.openai_socket import OpenAiSocket, refuse
from app.dialects.diction_stream import CloseCode, Dictation, is_done, parse_handshake
from app.domain.errors import SttError
from app.domain.stream.events import CloseStream, Control, KeepAlive, Metadata, StreamEvent
from app.services.bundle import Services
from app.services.only_english import settled_stream
from app.settings import Settings
from app.telemetry import Metrics

router = APIRouter()


@router.websocket("/v1/audio/stream")
async def dictate(socket: WebSocket) -> None:
    """Refused with an HTTP status before the upgrade, or accepted and served to its end."""
    services = cast("Services", socket.app.state.services)
    settings = cast("Settings", socket.app.state.settings)
    metrics = cast("Metrics", socket.app.state.metrics)
    try:
        await authorise(socket, services.accounts if settings.auth else None, LISTEN_SCOPE)
        asked = parse_handshake(socket.scope["query_string"])
        async with services.live.admit(await run_in_threadpool(settled_stream, asked, services.catalog)) as stream:
            await socket.accept(chosen_subprotocol(socket))
            messages = OpenAiSocket(socket, settings.stream_idle_timeout_s / 3)
            try:
                with metrics.active_requests.labels("stream").track_inprogress():
                    counts = await stream.run(DictationLink(messages))
            finally:
                await messages.forget()
    except SttError as error:
        if socket.application_state is not WebSocketState.CONNECTING:
            raise
        await refuse(socket, error)
        return
    metrics.count_stream(counts.audio_s, counts.queue_s, counts.decode_s, counts.dropped_jobs, counts.lost_segments)


class DictationLink:
    """Joins a connection and Diction's dialect into a ``ClientLink``."""

    def __init__(self, messages: OpenAiSocket) -> None:
        self._messages = messages
        self._dictation = Dictation()
        self._has_audio = False

    async def receive(self) -> bytes | Control | None:
        while True:
            message = await self._messages.receive()
            if message is None or isinstance(message, KeepAlive):
                return message
            if isinstance(message, bytes):
                if message:
                    self._has_audio = True
                    return message
            elif is_done(message):
                return CloseStream()

    async def send(self, event: StreamEvent, sha256: str) -> None:
        self._dictation.take(event)
        if isinstance(event, Metadata) and self._has_audio and not self._dictation.has_failed:
            await self._messages.send([self._dictation.render()])

    async def close(self, code: int, reason: str) -> None:
        if code == CloseCode.SHUTDOWN:
            await self._messages.close(code, reason)
        elif code != CloseCode.DONE or (self._has_audio and self._dictation.has_failed):
            await self._messages.close(CloseCode.FAILED, "transcription failed")
        elif not self._has_audio:
            await self._messages.close(CloseCode.NO_AUDIO, "no audio received")
        else:
            await self._messages.close(CloseCode.DONE, "")
