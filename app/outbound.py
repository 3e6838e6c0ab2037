"""Fetches audio that clients name by URL: public addresses only, and never more time or bytes than allowed.

A name is resolved once per request, every address it has is checked, and the connection goes to one of exactly these: a
second answer of the name server (DNS rebinding) is never asked for. Redirects are followed here, one checked request after
the other. See ``docs/decisions/0006-fetching-urls-of-clients.md``.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import BinaryIO

import anyio
import anyio.to_thread
import httpx

from app.domain.errors import PayloadTooLarge, RemoteContentError
from app.outbound_addresses import AllowList, IpAddress, host_of, parse_url, port_of, resolve
from app.outbound_pinned import (
    LookupFailed,
    NotRoutable,
    Resolver,
    basic_authorization,
    checked_addresses,
    send_pinned,
)

UNPARSEABLE = "The URL of the media could not be parsed."
NOT_ROUTABLE = "The URL of the media is not publicly routable."
ROUTABILITY_UNKNOWN = "Could not determine whether the URL of the media is publicly routable."
NO_LOCATION = "The remote server hosting the media returned a redirect without a location."
TOO_MANY_REDIRECTS = "The remote server hosting the media redirected too many times."
CLIENT_ERROR = "The remote server hosting the media returned a client error: {status}"
TOO_SLOW = "The remote server hosting the media failed to return valid data in time."
TOO_LARGE = "The remote media is larger than this server accepts."

_REDIRECTS = (301, 302, 303, 307, 308)
_PIECE_BYTES = 65_536
_WRITE_BYTES = 1 << 20  # one hop to a thread per mebibyte: 2 GB of audio cost 2,000 hops, not 32,000
_ANY_ZLIB = zlib.MAX_WBITS | 32  # gzip or zlib, whichever the first bytes say


class HttpFetcher:
    """The ``Fetcher`` of the server. Safe to share between requests: nothing (connection, cookie) is kept between fetches.

    ``connect_timeout_s`` counts per address tried, ``idle_timeout_s`` between two reads, ``total_timeout_s`` over
    everything, name lookups and redirects included. ``allow`` is read by ``AllowList``. Response headers are bounded by
    the HTTP parser, at 100 KiB.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float = 5.0,
        idle_timeout_s: float = 15.0,
        total_timeout_s: float = 60.0,
        max_redirects: int = 5,
        allow: Sequence[str] = (),
        resolver: Resolver = resolve,
    ) -> None:
        self._timeout = httpx.Timeout(idle_timeout_s, connect=connect_timeout_s)
        self._total_timeout_s = total_timeout_s
        self._max_redirects = max_redirects
        self._allow = AllowList(allow)
        self._resolver = resolver

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()  # reads certificates from disk: once, and only when needed

    async def fetch(self, url: str, target: BinaryIO, max_bytes: int) -> int:
        """Write what ``url`` holds into ``target`` and return the number of bytes; see ``ports.Fetcher``.

        ``max_bytes`` counts bytes as written, after any decompression. On an error ``target`` may hold a part.
        """
        sink = _Sink(target, max_bytes)
        try:
            with anyio.fail_after(self._total_timeout_s):
                await self._follow(_parse(url), sink)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise RemoteContentError(TOO_SLOW) from error
        except (httpx.HTTPError, zlib.error) as error:
            raise RemoteContentError from error
        return sink.written

    async def _follow(self, first: httpx.URL, sink: _Sink) -> None:
        here = first
        for _ in range(self._max_redirects + 1):
            # the URL's user and password belong to the server they were written for, and to no other
            authorization = basic_authorization(first) if _origin(here) == _origin(first) else None
            location = await self._get(here, await self._checked_addresses(here), authorization, sink)
            if location is None:
                return
            here = _parse(location, here)
        raise RemoteContentError(TOO_MANY_REDIRECTS)

    async def _checked_addresses(self, url: httpx.URL) -> Sequence[IpAddress]:
        try:
            return await checked_addresses(url, self._allow, self._resolver)
        except NotRoutable as error:
            raise RemoteContentError(NOT_ROUTABLE) from error
        except LookupFailed as error:
            raise RemoteContentError(ROUTABILITY_UNKNOWN) from error

    async def _get(
        self, url: httpx.URL, addresses: Sequence[IpAddress], authorization: str | None, sink: _Sink
    ) -> str | None:
        """One request. Returns where it redirects to, or None after writing the body into ``sink``."""
        # The bare transport: no cookies, no proxies, no .netrc, and no log line that shows the URL, as a client would have.
        async with httpx.AsyncHTTPTransport(verify=self._ssl_context, trust_env=False) as transport:
            response = await self._connect(transport, url, addresses, authorization)
            try:
                if response.status_code in _REDIRECTS:
                    location: str | None = response.headers.get("location")
                    if not location:
                        raise RemoteContentError(NO_LOCATION)
                    return location
                _check_status(response.status_code)
                await _copy(response, sink)
            finally:
                await response.aclose()
        return None

    async def _connect(
        self,
        transport: httpx.AsyncHTTPTransport,
        url: httpx.URL,
        addresses: Sequence[IpAddress],
        authorization: str | None,
    ) -> httpx.Response:
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "whisperapi", "Connection": "close"}
        if authorization:
            headers["Authorization"] = authorization
        request = httpx.Request("GET", url, headers=headers, extensions={"timeout": self._timeout.as_dict()})
        return await send_pinned(transport, request, addresses)


class _Sink:
    """Counts and passes on bytes, written in a thread: a slow disk must not stop the event loop."""

    def __init__(self, target: BinaryIO, max_bytes: int) -> None:
        self._target = target
        self._max_bytes = max_bytes
        self._pending = bytearray()
        self.written = 0

    async def write(self, piece: bytes) -> None:
        self.written += len(piece)
        if self.written > self._max_bytes:
            raise PayloadTooLarge(TOO_LARGE)
        self._pending += piece
        if len(self._pending) >= _WRITE_BYTES:
            await self.flush()

    async def flush(self) -> None:
        pending, self._pending = self._pending, bytearray()
        await anyio.to_thread.run_sync(self._target.write, pending)


async def _copy(response: httpx.Response, sink: _Sink) -> None:
    """Decompression is done here, in bounded steps: httpx would unpack ``gzip, gzip`` bombs whole."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        async for chunk in response.aiter_raw(_PIECE_BYTES):
            await sink.write(chunk)
    elif encoding in ("gzip", "x-gzip", "deflate"):  # identity was asked for; some hosts store files packed
        unpacker = _Unpacker()
        async for chunk in response.aiter_raw(_PIECE_BYTES):
            for piece in unpacker.feed(chunk):
                await sink.write(piece)
        if not unpacker.is_complete:
            raise RemoteContentError
    else:
        raise RemoteContentError
    await sink.flush()


class _Unpacker:
    """gzip or zlib data, several members in a row included, in pieces of at most ``_PIECE_BYTES``."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_ANY_ZLIB)

    @property
    def is_complete(self) -> bool:
        return self._member.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._member.eof and data:
                self._member = zlib.decompressobj(_ANY_ZLIB)
            piece = self._member.decompress(data, _PIECE_BYTES)
            yield piece
            data = self._member.unconsumed_tail or self._member.unused_data
            if not data and len(piece) < _PIECE_BYTES:
                return


def _check_status(status_code: int) -> None:
    if 200 <= status_code < 300:
        return
    if 400 <= status_code < 500:
        known = status_code in {status.value for status in HTTPStatus}
        status = f"{status_code} {HTTPStatus(status_code).phrase}" if known else f"{status_code}"
        raise RemoteContentError(CLIENT_ERROR.format(status=status))
    raise RemoteContentError


def _parse(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        return parse_url(url, base)
    except ValueError as error:
        raise RemoteContentError(UNPARSEABLE) from error


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, host_of(url), port_of(url)
