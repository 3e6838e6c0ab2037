"""A server for live clients that plays a script: what it was sent is kept, what it answers is the test's."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

METADATA = {"type": "Metadata", "request_id": "r", "duration": 1.0, "channels": 1}

_SILENT = logging.getLogger("tests.live_server")
_SILENT.propagate = False
_SILENT.addHandler(logging.NullHandler())


def results(text: str, *, final: bool = True, channel: int = 0, channels: int = 1) -> dict[str, Any]:
    """A Results message as the contract has it, without what no client here reads."""
    return {
        "type": "Results",
        "channel_index": [channel, channels],
        "is_final": final,
        "speech_final": final,
        "channel": {"alternatives": [{"transcript": text, "confidence": 0.9, "words": []}]},
    }


@dataclass
class Refusal:
    """An HTTP answer instead of the upgrade."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class LiveServer:
    """Where it is, and what it has seen: the request of the last handshake, and every message."""

    url: str = ""
    request: Request | None = None
    received: list[str | bytes] = field(default_factory=list)

    @property
    def sound(self) -> bytes:
        return b"".join(data for data in self.received if isinstance(data, bytes))

    @property
    def controls(self) -> list[Any]:
        return [json.loads(data) for data in self.received if isinstance(data, str)]


Script = Callable[[ServerConnection, LiveServer], Awaitable[None]]


async def say(connection: ServerConnection, *messages: dict[str, Any]) -> None:
    """Send messages as the server does."""
    for message in messages:
        await connection.send(json.dumps(message))


async def hear_all(connection: ServerConnection, server: LiveServer) -> None:
    """Keep what comes, until CloseStream has come."""
    async for data in connection:
        server.received.append(data)
        if isinstance(data, str) and json.loads(data)["type"] == "CloseStream":
            return


async def transcribe(connection: ServerConnection, server: LiveServer) -> None:
    """The usual script: hear everything, then one interim, one final, the summary."""
    await hear_all(connection, server)
    await say(connection, results("hello", final=False), results("Hello world."), METADATA)


@asynccontextmanager
async def live_server(script: Script = transcribe, refusal: Refusal | None = None) -> AsyncIterator[LiveServer]:
    """Serve on a free port of loopback. The script's return closes with 1000."""
    seen = LiveServer()

    async def handle(connection: ServerConnection) -> None:
        await script(connection, seen)

    def check(_: ServerConnection, request: Request) -> Response | None:
        seen.request = request
        if refusal is None:
            return None
        headers = Headers({"Content-Length": str(len(refusal.body)), "Connection": "close"} | refusal.headers)
        return Response(refusal.status, HTTPStatus(refusal.status).phrase, headers, refusal.body)

    async with serve(handle, "127.0.0.1", 0, process_request=check, logger=_SILENT) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        seen.url = f"ws://127.0.0.1:{port}/v1/listen"
        yield seen


@contextmanager
def running(script: Script = transcribe, refusal: Refusal | None = None) -> Iterator[LiveServer]:
    """The same in a thread, for what runs a loop of its own."""
    started, ended = threading.Event(), asyncio.Event()
    box: list[tuple[LiveServer, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        async with live_server(script, refusal) as server:
            box.append((server, asyncio.get_running_loop()))
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert started.wait(30)
    server, loop = box[0]
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(30)
