"""Where the messages of a live stream with a callback go: a request for each, or a WebSocket that the server dials."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from app.domain.errors import RemoteContentError
from app.domain.jobs import Callback
from app.domain.ports import CallbackSink, DeliveryFailed
from app.outbound_addresses import IpAddress, host_of, port_of
from app.outbound_callbacks import HttpDeliverer, parse_callback
from app.outbound_pinned import basic_authorization

TRIES = 3
"""Times a message is sent before the stream is given up; Deepgram documents no number."""

UNREACHABLE = "The host of the callback did not accept a WebSocket."

_HTTP_SCHEMES = {"ws": "http", "wss": "https"}
_CLOSE_TIMEOUT_S = 2.0


class LiveCallbackClient:
    """The ``LiveCallbacks`` of the server, with the address rules and time limits of ``deliverer``.

    ``retry_s``: seconds between two tries to send the same message.
    """

    def __init__(self, deliverer: HttpDeliverer, retry_s: float = 1.0) -> None:
        self._deliverer = deliverer
        self._retry_s = retry_s

    async def open(self, callback: Callback, headers: Mapping[str, str]) -> CallbackSink:
        scheme, colon, rest = callback.url.partition(":")
        secure = _HTTP_SCHEMES.get(scheme.lower())
        if secure is None:
            await self._deliverer.check(callback.url)
            return _RequestSink(self._deliverer, callback, headers, self._retry_s)
        return _SocketSink(await self._dial(parse_callback(f"{secure}{colon}{rest}"), headers))

    async def _dial(self, url: httpx.URL, headers: Mapping[str, str]) -> ClientConnection:
        """``url`` with the scheme of HTTP."""
        authorization = basic_authorization(url)
        given = {**headers} | ({"Authorization": authorization} if authorization else {})
        bare = url.copy_with(scheme="wss" if url.scheme == "https" else "ws", userinfo=b"", fragment=None)
        addresses = await self._deliverer.addresses(url)
        try:
            # a socket of our own: connected to the address that was checked, and a reason to follow no redirect
            plain = await _connected(addresses, port_of(url), self._deliverer.connect_timeout_s)
            return await connect(
                str(bare),
                sock=plain,
                ssl=self._deliverer.ssl_context if url.scheme == "https" else None,
                server_hostname=host_of(url).rstrip(".") if url.scheme == "https" else None,
                additional_headers=given,
                user_agent_header="whisperapi",
                proxy=None,
                compression=None,
                open_timeout=self._deliverer.total_timeout_s,
                close_timeout=_CLOSE_TIMEOUT_S,
            )
        except (OSError, WebSocketException, ValueError, asyncio.TimeoutError):
            raise RemoteContentError(UNREACHABLE) from None


async def _connected(addresses: Sequence[IpAddress], port: int, timeout_s: float) -> socket.socket:
    """A connection to the first address that takes one. Raises ``OSError`` or ``asyncio.TimeoutError``."""
    failure: Exception = OSError("no address")
    for address in addresses:
        plain = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
        plain.setblocking(False)
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_connect(plain, (str(address), port)), timeout_s)
        except (OSError, asyncio.TimeoutError) as error:
            plain.close()
            failure = error
        except BaseException:
            plain.close()
            raise
        else:
            return plain
    raise failure


class _RequestSink:
    """One request per message, the next one after the last was taken."""

    def __init__(self, deliverer: HttpDeliverer, callback: Callback, headers: Mapping[str, str], retry_s: float) -> None:
        self._deliverer = deliverer
        self._callback = callback
        self._headers = {**headers, "Content-Type": "application/json"}
        self._retry_s = retry_s
        self._transport = httpx.AsyncHTTPTransport(verify=deliverer.ssl_context, trust_env=False)

    async def send(self, text: str) -> None:
        for tries_left in reversed(range(TRIES)):
            try:
                return await self._deliverer.send(self._transport, self._callback, text.encode(), self._headers)
            except DeliveryFailed:
                if not tries_left:
                    raise
            await asyncio.sleep(self._retry_s)
        return None

    async def dropped(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        await self._transport.aclose()


class _SocketSink:
    """Messages as text frames. What the other side sends is read, so that its close is seen, and thrown away."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._reading = asyncio.ensure_future(self._read())

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except ConnectionClosed:
            raise DeliveryFailed("connection closed") from None

    async def dropped(self) -> None:
        await asyncio.shield(self._reading)

    async def close(self) -> None:
        await self._connection.close()
        await self._reading

    async def _read(self) -> None:
        try:
            async for _ in self._connection:
                pass
        except ConnectionClosed:
            pass
