"""Where Wyoming clients connect: a TCP port or a Unix socket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.domain.errors import InvalidParameter
from app.services.catalog import Catalog
from app.services.live import LiveStreams
from app.services.usage_log import UsageLog
from app.wyoming.connection import MAX_LINE_BYTES, Connection
from app.wyoming.session import Session

DEFAULT_PORT = 10300
"""Where Home Assistant looks for speech-to-text by default."""


@dataclass(frozen=True, slots=True)
class Address:
    """``host`` and ``port`` (0: any free one), or the ``path`` of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Read ``tcp://HOST:PORT`` or ``unix:///PATH``. Raises ``InvalidParameter``."""
        try:
            parts = urlsplit(uri)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise _no_address() from None
        if parts.scheme == "unix" and parts.path:
            return cls(path=parts.path)
        if parts.scheme != "tcp" or not host:
            raise _no_address()
        return cls(host, DEFAULT_PORT if port is None else port)

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        return f"tcp://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class WyomingServer:
    """Serves until ``close``. At most ``max_connections`` clients at a time; ``language`` as in ``Session``."""

    def __init__(
        self, live: LiveStreams, catalog: Catalog, language: str | None, max_connections: int, usage: UsageLog
    ) -> None:
        self._live = live
        self._catalog = catalog
        self._language = language
        self._max_connections = max_connections
        self._usage = usage
        self._sessions: dict[asyncio.Task[None], asyncio.Task[None]] = {}  # whose key serves, and then lets go
        self._server: asyncio.Server | None = None
        self._has_closed = False

    @property
    def connections(self) -> int:
        """Clients that are connected, or were a moment ago."""
        return len(self._sessions)

    async def start(self, address: Address) -> Address:
        """Listen. Where it can be reached, the port filled in. Raises ``OSError`` for addresses that cannot be used."""
        if address.path:
            self._server = await asyncio.start_unix_server(self._accept, address.path, limit=MAX_LINE_BYTES)
            return address
        self._server = await asyncio.start_server(self._accept, address.host, address.port, limit=MAX_LINE_BYTES)
        port: int = self._server.sockets[0].getsockname()[1]
        return Address(address.host, port)

    async def close(self, timeout_s: float) -> None:
        """Take no more clients, and give those who speak the text of what they have said, within ``timeout_s`` seconds."""
        self._has_closed = True
        if self._server is not None:
            self._server.close()
        await self._live.drain(timeout_s)
        serving = list(self._sessions)
        for session in self._sessions.values():
            session.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._has_closed or len(self._sessions) >= self._max_connections:
            writer.close()
            return
        connection = Connection(reader, writer)
        session = asyncio.ensure_future(Session(connection, self._live, self._catalog, self._language, self._usage).run())
        serving = asyncio.ensure_future(_serve(session, connection))
        self._sessions[serving] = session
        serving.add_done_callback(self._sessions.pop)


async def _serve(session: asyncio.Task[None], connection: Connection) -> None:
    """Let go of the connection however the session ends; only that is cancelled when the server stops, never the closing."""
    try:
        await asyncio.wait({session})  # one that is cancelled before its first step has ended too
    finally:
        session.cancel()
        await connection.close()


def _no_address() -> InvalidParameter:
    return InvalidParameter("uri: expected tcp://HOST:PORT or unix:///PATH", parameter="uri")
