"""A stand-in for another server's ``/v1/audio/transcriptions`` on loopback, which answers as well or as badly as wanted."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import soundfile

from tests.support.tcp_server import start_tcp_server

Json = dict[str, Any]


@dataclass
class Asked:
    """One request for a transcript: its fields (all values of each), the file as it came, and its headers."""

    path: str
    fields: dict[str, list[str]]
    file: bytes
    file_name: str
    headers: dict[str, str]

    @property
    def form(self) -> str:
        return self.fields["response_format"][0]

    @property
    def granularities(self) -> list[str]:
        return self.fields.get("timestamp_granularities[]", [])

    @property
    def seconds(self) -> float:
        samples, rate = soundfile.read(io.BytesIO(self.file), dtype="float32")
        return len(samples) / rate


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. ``promised`` lies about the body's length."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    promised: int | None = None


Answer = Json | Reply | Awaitable[Json | Reply]
"""A transcript, anything else, or either later."""


def transcript(text: str = "Hello world.", language: str = "english", **more: Any) -> Json:
    """A whole answer of the verbose form, without times of words."""
    segment = {"id": 0, "start": 0.2, "end": 0.8, "text": f" {text}", "avg_logprob": -0.2, "tokens": [1, 2, 3]}
    return {"task": "transcribe", "language": language, "duration": 1.0, "text": text, "segments": [segment]} | more


def good(asked: Asked) -> Json:
    """A server that does what it is asked."""
    if asked.form == "json":
        return {"text": "Hello world."}
    words = [{"word": "Hello", "start": 0.21, "end": 0.5}, {"word": "world", "start": 0.5, "end": 0.8}]
    return transcript(words=words) if "word" in asked.granularities else transcript()


@dataclass
class BackendServer:
    """``asked``: the requests so far; ``gone``: clients that left early; ``at_once``: the most under way together.

    While ``probes_wait`` is not set, whoever only looks whether somebody is there hears nothing.
    """

    answer: Callable[[Asked], Answer]
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    probes: int = 0
    probe_status: int = 200
    probes_wait: asyncio.Event | None = None
    gone: int = 0
    running: int = 0
    at_once: int = 0
    _server: asyncio.Server | None = None
    _connections: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        self._server = await start_tcp_server(self._serve, port=self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As a killed process: nobody listens, and every connection ends at once."""
        if self._server is not None:
            self._server.close()
            for connection in list(self._connections):
                connection.transport.abort()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, _, rest = head.partition(b"\r\n")
                headers = {name.lower(): value for name, value in BytesParser(policy=HTTP).parsebytes(rest).items()}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = line.decode().split(" ")
                if method == "GET":
                    self.probes += 1
                    if self.probes_wait is not None:
                        await self.probes_wait.wait()
                    self._write(writer, Reply(self.probe_status, b"{}"))
                    continue
                reply = await self._answer(reader, parse(path, headers, body))
                self._write(writer, reply)
                if reply.promised is not None:
                    await writer.drain()
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, asked: Asked) -> Reply:
        self.asked.append(asked)
        self.running += 1
        self.at_once = max(self.at_once, self.running)
        try:
            answer = self.answer(asked)
            if isinstance(answer, Awaitable):
                waiting = asyncio.ensure_future(answer)
                leaving = asyncio.ensure_future(reader.read(1))
                await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if not waiting.done():
                    waiting.cancel()
                    self.gone += 1
                    raise ConnectionAbortedError
                leaving.cancel()
                answer = waiting.result()
            return answer if isinstance(answer, Reply) else Reply(body=json.dumps(answer).encode())
        finally:
            self.running -= 1

    @staticmethod
    def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
        size = len(reply.body) if reply.promised is None else reply.promised
        extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        head = f"HTTP/1.1 {reply.status} X\r\nContent-Type: {reply.media_type}\r\n{extra}Content-Length: {size}\r\n\r\n"
        writer.write(head.encode() + reply.body)


def parse(path: str, headers: dict[str, str], body: bytes) -> Asked:
    """A form with a file as it came over the wire."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + body)
    fields: dict[str, list[str]] = {}
    file, file_name = b"", ""
    for part in message.iter_parts():  # type: ignore[attr-defined]
        content = part.get_payload(decode=True)
        if part.get_filename():
            file, file_name = content, part.get_filename()
        else:
            fields.setdefault(part.get_param("name", header="content-disposition"), []).append(content.decode())
    return Asked(path, fields, file, file_name, headers)


@asynccontextmanager
async def backend_server(answer: Callable[[Asked], Answer] = good) -> AsyncIterator[BackendServer]:
    """Serve until the block ends."""
    server = BackendServer(answer)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
