"""An address that stays while the process behind it changes: it leads to a server, or refuses as one that is dead does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.tcp_server import start_tcp_server

PATIENCE_S = 60


@dataclass
class Door:
    """Shut until ``open_to``. Connections end with the process behind them, or when the door is shut."""

    url: str
    _port: int
    _loop: asyncio.AbstractEventLoop
    _server: asyncio.Server | None = field(default=None, init=False)
    _leading: set[asyncio.Task[Any]] = field(default_factory=set, init=False)

    def open_to(self, url: str) -> None:
        """Lead whoever connects from now on to the server at ``url``."""
        self._run(self._open(httpx.URL(url).port or 0))

    def shut(self) -> None:
        """End the connections there are, and refuse others from now on."""
        self._run(self._shut())

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE_S)

    async def _open(self, behind: int) -> None:
        async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._leading.add(task)
            task.add_done_callback(self._leading.discard)
            with contextlib.suppress(OSError):
                there, back = await asyncio.open_connection("127.0.0.1", behind)
                try:
                    await _first_of(_pass_on(reader, back), _pass_on(there, writer))
                finally:
                    back.transport.abort()

        self._server = await start_tcp_server(lead, port=self._port)

    async def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._leading:
            task.cancel()
        await asyncio.gather(*self._leading, return_exceptions=True)


@contextlib.contextmanager
def door() -> Iterator[Door]:
    """A door in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    with socket.socket() as reserved:  # bound and never listening: nobody else gets the port, and it refuses
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        made = Door(f"http://127.0.0.1:{port}", port, loop)
        try:
            yield made
        finally:
            made.shut()
            loop.call_soon_threadsafe(loop.stop)
            thread.join(PATIENCE_S)
            loop.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


async def _first_of(*ways: Coroutine[Any, Any, None]) -> None:
    """Both until one ends: half a connection is none."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
