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

    async def receive() -> Message:
        try:
            return await feed.__anext__()
        except StopAsyncIteration:
            await asyncio.Event().wait()
            raise AssertionError("unreachable") from None

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
    return answer


def body(data: bytes, *, more: bool = False) -> Message:
    """One piece of a request body."""
    return {"type": "http.request", "body": data, "more_body": more}
