"""Small HTTP servers on loopback that answer what a test tells them to, good or bad."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.tcp_server import start_tcp_server

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawServer:
    """Answers by path, byte for byte. ``requests`` are the heads received; ``hung_up`` is set when a client leaves early."""

    answers: dict[str, bytes | Answer]
    port: int = 0
    requests: list[str] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.requests.append(head)
            answer = self.answers[head.split(" ")[1]]
            if callable(answer):
                task = asyncio.ensure_future(answer(writer))
                # the client sends nothing more, so whatever ends this read is its hanging up
                await asyncio.wait({task, asyncio.ensure_future(reader.read())}, return_when=asyncio.FIRST_COMPLETED)
                if not task.done():
                    self.hung_up.set()
                    task.cancel()
                    await asyncio.wait({task})
            else:
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hung_up.set()
        finally:
            writer.close()


@asynccontextmanager
async def raw_server(answers: dict[str, bytes | Answer], host: str = "127.0.0.1") -> AsyncIterator[RawServer]:
    """Serve ``answers`` on a free port of ``host`` until the block ends."""
    script = RawServer(answers)
    server = await start_tcp_server(script.serve, host)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()
        await server.wait_closed()


def response(body: bytes = b"", status: str = "200 OK", headers: str = "", length: int | None = None) -> bytes:
    """A whole HTTP/1.1 response. ``headers`` are complete lines; ``length`` lies about the body's length."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {size}\r\n\r\n".encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    """A response that points to ``location``."""
    return response(status=status, headers=f"Location: {location}\r\n")


@contextmanager
def file_server(files: dict[str, bytes]) -> Iterator[str]:
    """Serve ``files`` by path from threads, for tests without an event loop. Yields the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            """Tests stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
