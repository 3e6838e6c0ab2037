"""A TCP server on asyncio's streams that leaves no connection open behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def start_tcp_server(serve: Serve, host: str = "127.0.0.1", port: int = 0) -> asyncio.Server:
    """As ``asyncio.start_server``, but a connection is closed whatever becomes of its task.

    A task that is cancelled before its first step, since the test ended just then, never comes to a ``finally`` of its own.
    """
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def attend() -> None:
            await serve(reader, writer)

        def end(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if task.cancelled():
                writer.transport.abort()
            else:
                writer.close()

        task = asyncio.ensure_future(attend())
        tasks.add(task)
        task.add_done_callback(end)

    return await asyncio.start_server(accept, host, port)
