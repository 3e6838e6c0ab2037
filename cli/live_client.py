"""One live stream to a server: connect, send, hear everything it answers, and say in a sentence what went wrong."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.http11 import Response

from cli.live_source import LiveSource

Message = dict[str, Any]

KEEP_ALIVE_S = 5.0
"""Seconds without sound after which the server is told that more will come; it gives up after ten."""

_KEEP_ALIVE = '{"type":"KeepAlive"}'
_CLOSE_STREAM = '{"type":"CloseStream"}'

_ENDINGS = {
    "NET-0001": "The server heard nothing for too long and ended the stream",
    "NET-0000": "The server could not answer in time and ended the stream",
    "DATA-0000": "The server could not read the sound",
    1001: "The server is shutting down; what it had heard has been printed",
    1006: "The connection to the server broke off",
}
_OPENING_S = 20.0
"""Seconds for the handshake: a server that is short of memory may have to load the model first."""


class LiveFailure(Exception):
    """The stream could not begin or did not end well. The message is a sentence for the person at the terminal."""


@asynccontextmanager
async def connected(url: str, key: str | None) -> AsyncIterator[ClientConnection]:
    """A stream that the server has accepted. Raises ``LiveFailure`` when it does not, or when nobody answers."""
    parts = urlsplit(url)
    where = f"{parts.scheme}://{parts.netloc}"
    try:
        connection = await connect(
            url,
            additional_headers={} if key is None else {"Authorization": f"Token {key}"},
            compression=None,  # sound hardly shrinks
            open_timeout=_OPENING_S,
            ping_timeout=None,  # a server that has enough to do stops reading, and then cannot answer a ping
            proxy=None if _is_loopback(parts.hostname or "") else True,
        )
    except InvalidStatus as error:
        raise LiveFailure(_refusal(error.response)) from error
    except InvalidHandshake as error:
        raise LiveFailure(f"What answers at {where} is no server for live streams.") from error
    except (TimeoutError, asyncio.TimeoutError) as error:  # two classes until Python 3.11
        raise LiveFailure(f"The server at {where} does not answer.") from error
    except OSError as error:
        raise LiveFailure(f"The server at {where} cannot be reached: {_reason(error)}") from error
    async with connection:
        yield connection


async def converse(
    connection: ClientConnection,
    source: LiveSource,
    take: Callable[[Message], None],
    stop: asyncio.Event,
    keep_alive_s: float = KEEP_ALIVE_S,
) -> None:
    """Send ``source`` to its end or until ``stop``, then ask for the rest; every message goes to ``take`` as it comes.

    Returns once the server has closed the stream in order. Raises ``LiveFailure`` when it closes otherwise, and what the
    source raises, once everything heard up to there has been answered.
    """
    sender = asyncio.ensure_future(_send(connection, source, stop, keep_alive_s))
    try:
        await _receive(connection, take)
        is_early = not sender.done()
    finally:
        sender.cancel()
        [outcome] = await asyncio.gather(sender, return_exceptions=True)
    if is_early:
        raise LiveFailure("The server ended the stream before all the sound was sent.")
    if isinstance(outcome, Exception):
        raise outcome


async def _send(connection: ClientConnection, source: LiveSource, stop: asyncio.Event, keep_alive_s: float) -> None:
    with suppress(ConnectionClosed):  # the receiving side says why
        try:
            await _send_pieces(connection, source, stop, keep_alive_s)
        finally:
            await connection.send(_CLOSE_STREAM)


async def _send_pieces(connection: ClientConnection, source: LiveSource, stop: asyncio.Event, keep_alive_s: float) -> None:
    pieces = source.pieces()
    stopped = asyncio.ensure_future(stop.wait())
    upcoming: asyncio.Future[bytes | None] = asyncio.ensure_future(_next(pieces))
    try:
        while not stopped.done():
            waited: set[asyncio.Future[Any]] = {upcoming, stopped}
            await asyncio.wait(waited, timeout=keep_alive_s, return_when=asyncio.FIRST_COMPLETED)
            if upcoming.done():
                piece = upcoming.result()
                if piece is None:
                    return
                upcoming = asyncio.ensure_future(_next(pieces))
                await connection.send(piece)
            elif not stopped.done():
                await connection.send(_KEEP_ALIVE)
    finally:
        stopped.cancel()
        upcoming.cancel()
        await asyncio.gather(stopped, upcoming, return_exceptions=True)


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


async def _receive(connection: ClientConnection, take: Callable[[Message], None]) -> None:
    while True:
        try:
            data = await connection.recv()
        except ConnectionClosed as closed:
            code, reason = (1006, "") if closed.rcvd is None else (closed.rcvd.code, closed.rcvd.reason)
            if code in (1000, 1005):  # 1005: closed in order, without giving a code
                return
            raise LiveFailure(_ending(code, reason)) from closed
        take(_parsed(data))


def _parsed(data: str | bytes) -> Message:
    try:
        message = orjson.loads(data)
    except ValueError as error:
        raise LiveFailure("The server answers in a language of its own: not with JSON.") from error
    if not isinstance(message, dict):
        raise LiveFailure("The server answers in a language of its own: not with JSON objects.")
    return cast("Message", message)


def _ending(code: int, reason: str) -> str:
    sentence = next((text for known, text in _ENDINGS.items() if isinstance(known, str) and known in reason), None)
    sentence = sentence or _ENDINGS.get(code, "The server broke the stream off")
    return f"{sentence} ({f'{code} {printable(reason)}'.strip()})."


def _refusal(response: Response) -> str:
    """``dg-error`` or the body's message, with what can be done about it."""

    def header(name: str) -> str:
        return printable(next(iter(response.headers.get_all(name)), ""))

    status = response.status_code
    said = header("dg-error") or _message_in(response.body) or printable(response.reason_phrase)
    sentence = f"The server refused the stream: {status} {said}".rstrip(" .") + "."
    if status == 401:
        sentence += " Give a valid key with --key or in WHISPERAPI_API_KEY."
    if status == 404:
        sentence += " Is --url the address of the server?"
    if (retry_after := header("retry-after")).isdigit():
        sentence += f" Try again in {retry_after} s."
    if request_id := header("dg-request-id"):
        sentence += f" (request {request_id})"
    return sentence


def _message_in(body: bytes | bytearray | None) -> str:
    with suppress(ValueError):
        message = orjson.loads(body or b"null")
        if isinstance(message, dict):
            return printable(str(message.get("err_msg") or message.get("message") or ""))
    return ""


_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], " ")


def printable(text: str) -> str:
    """``text`` without what could drive a terminal."""
    return text.translate(_CONTROLS).strip()


def _reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there. `whisperapi serve` starts a server."
    said = printable(error.strerror or str(error)) or type(error).__name__
    return f"{said}. Does it speak ws rather than wss?" if isinstance(error, ssl.SSLError) else f"{said}."


def _is_loopback(host: str) -> bool:
    """A proxy for the internet, as companies have, does not lead to one's own machine."""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
