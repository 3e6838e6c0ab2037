"""``WS /v1/realtime``: OpenAI's Realtime sessions of the kind that transcribes."""

from __future__ import annotations

import asyncio
from typing import cast
from urllib.parse import parse_qsl

import anyio.to_thread
from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketState

from app.api.auth import LISTEN_SCOPE, authorise, authorise_secret
from app.api.openai_socket import OpenAiSocket, refuse
from app.dialects.openai_realtime import Conversation
from app.dialects.openai_realtime_events import parse_event, render_error
from app.dialects.openai_realtime_session import SessionConfig, Shape
from app.domain.errors import (
    ClientGone,
    EngineFailed,
    InvalidParameter,
    InvalidPayload,
    InvalidRequest,
    SttError,
    UnsupportedModel,
)
from app.domain.options import LiveOptions
from app.domain.stream.events import Control, KeepAlive, StreamEvent
from app.services.bundle import Services
from app.settings import Settings
from app.telemetry import Metrics

SUBPROTOCOL = "realtime"
_SECRET_PROTOCOL = "openai-insecure-api-key."  # noqa: S105 - how browsers begin the word that is the key
_BETA_PROTOCOL = "openai-beta.realtime-v1"
_BETA_HEADER = "realtime=v1"

PARSED_INLINE_CHARACTERS = 256 * 1024
"""Longer messages are read in a thread: one of 15 MiB takes 45 ms, one of this size 0.6 ms."""

_MAX_FIELDS = 100

router = APIRouter()


@router.websocket("/v1/realtime")
async def transcribe_live(socket: WebSocket) -> None:
    """Refused with an HTTP status before the upgrade, or accepted and served until the client leaves."""
    services = cast("Services", socket.app.state.services)
    settings = cast("Settings", socket.app.state.settings)
    messages = OpenAiSocket(socket, settings.stream_idle_timeout_s / 3)
    try:
        await _authorise(socket, services, settings)
        await _serve(socket, messages, services, _conversation(socket, services))
    except SttError as error:
        if socket.application_state is WebSocketState.CONNECTING:
            await refuse(socket, error)
        else:  # there was no room for the stream that was to go on with new settings
            await _give_up(messages, error)
    finally:
        await messages.forget()


async def _serve(socket: WebSocket, messages: OpenAiSocket, services: Services, conversation: Conversation) -> None:
    metrics = cast("Metrics", socket.app.state.metrics)
    with metrics.active_requests.labels("stream").track_inprogress():
        while True:
            async with services.live.admit(conversation.options) as stream:
                if socket.application_state is WebSocketState.CONNECTING:
                    await socket.accept(_chosen_subprotocol(socket))
                    await messages.send(conversation.open())
                conversation.begin_stream()
                counts = await stream.run(RealtimeLink(messages, conversation))
            metrics.count_stream(counts.audio_s, counts.queue_s, counts.decode_s, counts.dropped_jobs, counts.lost_segments)
            if messages.is_gone or not conversation.is_restarting:
                return


async def _give_up(messages: OpenAiSocket, error: SttError) -> None:
    try:
        await messages.send([render_error(error)])
        await messages.close(1013, "try again later")
    except ClientGone:
        return


async def _authorise(socket: WebSocket, services: Services, settings: Settings) -> None:
    offered: list[str] = socket.scope.get("subprotocols", [])
    secrets = [word.removeprefix(_SECRET_PROTOCOL) for word in offered if word.startswith(_SECRET_PROTOCOL)]
    if not settings.auth or not secrets or "authorization" in socket.headers:
        await authorise(socket, services.accounts if settings.auth else None, LISTEN_SCOPE)
        return
    await authorise_secret(socket, services.accounts, secrets[0], LISTEN_SCOPE)


def _chosen_subprotocol(socket: WebSocket) -> str | None:
    """``realtime`` if it was offered, else another word that was, but never one with a key in it."""
    offered: list[str] = socket.scope.get("subprotocols", [])
    if SUBPROTOCOL in offered:
        return SUBPROTOCOL
    return next((word for word in offered if not word.startswith(_SECRET_PROTOCOL)), None)


def _conversation(socket: WebSocket, services: Services) -> Conversation:
    """The session that the handshake asks for. Raises ``SttError`` where there can be none."""
    try:
        query = dict(parse_qsl(socket.scope["query_string"].decode("latin-1"), max_num_fields=_MAX_FIELDS))
    except ValueError as error:
        raise InvalidRequest from error
    intent = query.get("intent")
    if intent not in (None, "transcription"):
        raise InvalidParameter("This server has transcription sessions only.", parameter="intent")
    is_beta = _BETA_PROTOCOL in socket.scope.get("subprotocols", []) or _BETA_HEADER in socket.headers.get("openai-beta", "")

    def check(options: LiveOptions) -> str:
        resolution = services.catalog.resolve(options.model, None if options.code_switching else options.language)
        if not set(options.language_hints) <= set(resolution.model.languages):
            raise UnsupportedModel(parameter="language")
        return resolution.model.info.name

    shape = Shape.BETA if is_beta else Shape.GENERAL
    return Conversation(SessionConfig(model=query.get("model")), shape, check, by_intent=intent is not None)


class RealtimeLink:
    """Joins a connection and one of the conversation's streams into a ``ClientLink``."""

    def __init__(self, messages: OpenAiSocket, conversation: Conversation) -> None:
        self._messages = messages
        self._conversation = conversation

    async def receive(self) -> bytes | Control | None:
        if self._conversation.is_restarting:
            await asyncio.Event().wait()  # what comes now is for the next stream; this one stops us when it ends
        message = await self._messages.receive()
        if message is None or isinstance(message, KeepAlive):
            return message
        try:
            return await self._taken(message) or KeepAlive()
        except ClientGone:
            return None

    async def _taken(self, message: bytes | str) -> bytes | Control | None:
        if isinstance(message, bytes):
            await self._messages.send([render_error(InvalidPayload("Events are JSON in text messages."))])
            return None
        large = len(message) > PARSED_INLINE_CHARACTERS
        event = await anyio.to_thread.run_sync(parse_event, message) if large else parse_event(message)
        item, told = self._conversation.take(event)
        await self._messages.send(told)
        return item

    async def send(self, event: StreamEvent, sha256: str) -> None:
        await self._messages.send(self._conversation.render(event))

    async def close(self, code: int, reason: str) -> None:
        if self._conversation.is_restarting and code == 1000:
            return
        if code not in (1000, 1001):
            await self._messages.send([render_error(EngineFailed("The session cannot go on."))])
        await self._messages.close(code, "")
