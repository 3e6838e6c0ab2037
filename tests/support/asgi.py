"""One request spoken to the application message by message, for clients that no HTTP library will play."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message


@dataclass
class Answer:
    """What came back; ``status`` None: nothing."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def call(app: ASGIApp, messages: Callable[[], AsyncIterator[Message]], **scope: Any) -> Answer:
    """POST to ``/v1/listen`` with the request messages that ``messages`` yields; after the last one nothing comes."""
    answer = Answer()
    feed = messages()

    reading: asyncio.Future[Message] | None = None

    async def receive() -> Message:
        nonlocal reading
        if reading is None:  # as with a server, nothing is lost when whoever waits for it is cancelled
            reading = asyncio.ensure_future(_next(feed))
        message = await asyncio.shield(reading)
        reading = None
        return message

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")

    full_scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/v1/listen",
        "raw_path": b"/v1/listen",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"authorization", b"Token the-static-key")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 7860),
    } | scope
    await app(full_scope, receive, send)
    if reading is not None:
        reading.cancel()
    return answer


async def _next(feed: AsyncIterator[Message]) -> Message:
    async for message in feed:
        return message
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


def body(data: bytes, *, more: bool = False) -> Message:
    """One piece of a request body."""
    return {"type": "http.request", "body": data, "more_body": more}
