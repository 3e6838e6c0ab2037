"""Sends answers to the callbacks that clients name: public addresses only, checked at each attempt, redirects not followed.

See ``docs/decisions/0006-fetching-urls-of-clients.md``, whose rules hold here too. No error and no log line holds a URL.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from functools import cached_property

import anyio
import httpx

from app.domain.errors import InvalidRequest, RemoteContentError
from app.domain.jobs import Callback
from app.domain.ports import DeliveryFailed
from app.outbound_addresses import AllowList, IpAddress, parse_url, resolve
from app.outbound_pinned import (
    LookupFailed,
    NotRoutable,
    Resolver,
    basic_authorization,
    checked_addresses,
    send_pinned,
)

NOT_ROUTABLE = "The URL of the callback is not publicly routable."
ROUTABILITY_UNKNOWN = "Could not determine whether the URL of the callback is publicly routable."


class HttpDeliverer:
    """The ``Deliverer`` of the server. Safe to share: nothing is kept between deliveries.

    ``connect_timeout_s`` counts per address tried, ``total_timeout_s`` over everything, name lookup included. ``allow`` is
    read by ``AllowList``.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float = 1.0,
        total_timeout_s: float = 10.0,
        allow: Sequence[str] = (),
        resolver: Resolver = resolve,
    ) -> None:
        self.connect_timeout_s = connect_timeout_s
        self.total_timeout_s = total_timeout_s
        self._allow = AllowList(allow)
        self._resolver = resolver

    @cached_property
    def ssl_context(self) -> ssl.SSLContext:
        """The certificates of the system; read from disk once, and only when needed."""
        return httpx.create_ssl_context()

    async def check(self, url: str) -> None:
        await self.addresses(parse_callback(url))

    async def addresses(self, url: httpx.URL) -> Sequence[IpAddress]:
        """The addresses to connect to. Raises ``RemoteContentError``."""
        try:
            with anyio.fail_after(self.total_timeout_s):
                return await checked_addresses(url, self._allow, self._resolver)
        except NotRoutable as error:
            raise RemoteContentError(NOT_ROUTABLE) from error
        except (LookupFailed, TimeoutError) as error:
            raise RemoteContentError(ROUTABILITY_UNKNOWN) from error

    async def deliver(self, callback: Callback, body: bytes, headers: Mapping[str, str]) -> None:
        # The bare transport: no cookies, no proxies, no .netrc, no redirects, and no log line that shows the URL.
        async with httpx.AsyncHTTPTransport(verify=self.ssl_context, trust_env=False) as transport:
            await self.send(transport, callback, body, {**headers, "Connection": "close"})

    async def send(
        self, transport: httpx.AsyncHTTPTransport, callback: Callback, body: bytes, headers: Mapping[str, str]
    ) -> None:
        """One attempt over ``transport``, which may keep its connections. Raises ``DeliveryFailed``."""
        try:
            with anyio.fail_after(self.total_timeout_s):
                response = await self._send(transport, callback, body, headers)
        except TimeoutError:
            raise DeliveryFailed("no answer in time") from None
        except httpx.TimeoutException:
            raise DeliveryFailed("no connection in time") from None
        except httpx.HTTPError:
            raise DeliveryFailed("connection failed") from None
        except (InvalidRequest, RemoteContentError):
            raise DeliveryFailed("address not allowed or not found") from None
        await _drain(response)
        if not 200 <= response.status_code < 300:
            raise DeliveryFailed(f"answered with status {response.status_code}")

    async def _send(
        self, transport: httpx.AsyncHTTPTransport, callback: Callback, body: bytes, headers: Mapping[str, str]
    ) -> httpx.Response:
        """The head of the answer. Whoever gets it closes it."""
        url = parse_callback(callback.url)
        addresses = await self.addresses(url)
        authorization = basic_authorization(url)
        given = {"User-Agent": "whisperapi", **headers} | ({"Authorization": authorization} if authorization else {})
        # only connecting has a limit of its own; the others are far below the limit on the whole or useless
        timeout = httpx.Timeout(self.total_timeout_s, connect=self.connect_timeout_s).as_dict()
        request = httpx.Request(callback.method, url, headers=given, content=body, extensions={"timeout": timeout})
        return await send_pinned(transport, request, addresses)


_DRAINED_BYTES = 65_536
"""What is read of an answer, so that its connection can be used again; of a longer one the connection is closed."""

_DRAINING_S = 1.0
"""Seconds that this may take. The status has come by then: what is slow after it is no failed delivery."""


async def _drain(response: httpx.Response) -> None:
    seen = 0
    try:
        with anyio.move_on_after(_DRAINING_S):
            async for piece in response.aiter_raw():
                seen += len(piece)
                if seen > _DRAINED_BYTES:
                    break
    except httpx.HTTPError:
        pass  # the status was read, and it says what became of the delivery
    finally:
        await response.aclose()


def parse_callback(url: str) -> httpx.URL:
    """An absolute http or https URL. Raises ``InvalidRequest``."""
    try:
        return parse_url(url)
    except ValueError:
        raise InvalidRequest from None
