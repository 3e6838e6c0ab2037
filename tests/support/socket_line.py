"""Stands where an application has its WebSocket, for tests on a loop whose clock jumps."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

from starlette.types import Message


class Line:
    """Stands for a WebSocket: what is put into ``coming`` is received, what is sent is kept."""

    def __init__(self) -> None:
        self.coming: asyncio.Queue[Message] = asyncio.Queue()
        self.sent: list[Message] = []
        self.gates: deque[asyncio.Event] = deque()
        self.failure: Exception | None = None

    async def receive(self) -> Message:
        return await self.coming.get()

    async def send(self, message: Message) -> None:
        if self.failure is not None:
            raise self.failure
        if self.gates:
            await self.gates.popleft().wait()
        self.sent.append(message)

    def put(self, message: str | bytes) -> None:
        """A message comes from the client."""
        kind = "text" if isinstance(message, str) else "bytes"
        self.coming.put_nowait({"type": "websocket.receive", kind: message})

    def hang_up(self) -> None:
        self.coming.put_nowait({"type": "websocket.disconnect", "code": 1000})

    @property
    def told(self) -> list[dict[str, Any]]:
        """The messages that were sent."""
        return [json.loads(message["text"]) for message in self.sent if "text" in message]

    @property
    def closed(self) -> list[int]:
        """The codes it was closed with."""
        return [message["code"] for message in self.sent if message["type"] == "websocket.close"]
