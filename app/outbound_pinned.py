"""Requests to addresses that were checked: a name is resolved once, and the connection goes to what was found then."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence

import httpx

from app.outbound_addresses import AllowList, IpAddress, host_of, is_public, parse_literal, port_of

Resolver = Callable[[str, int], Awaitable[Sequence[IpAddress]]]
"""Host name and port -> addresses, best first. ``OSError`` or ``UnicodeError``: no answer."""


class NotRoutable(Exception):
    """The host has an address that is not public and was not allowed."""


class LookupFailed(Exception):
    """The host's name has no address."""


async def checked_addresses(url: httpx.URL, allow: AllowList, resolver: Resolver) -> Sequence[IpAddress]:
    """The addresses of the host of ``url``, all of which may be connected to. Raises ``NotRoutable`` or ``LookupFailed``."""
    host = host_of(url)
    literal = parse_literal(host)
    try:
        addresses = [literal] if literal else await resolver(host, port_of(url))
    except (OSError, UnicodeError) as error:
        raise LookupFailed from error
    if not addresses:
        raise LookupFailed
    if not allow.allows_name(host):
        # one private address among public ones is enough to refuse: the client could make us pick it
        for address in addresses:
            if not (is_public(address) or allow.allows_address(address)):
                raise NotRoutable
    return addresses


async def send_pinned(
    transport: httpx.AsyncHTTPTransport, request: httpx.Request, addresses: Sequence[IpAddress]
) -> httpx.Response:
    """Send ``request`` to the first of ``addresses`` (at least one) that takes the connection.

    The address takes the name's place in the URL; the name goes into Host, into SNI and into the certificate check.
    """
    for address in addresses:
        pinned = _pinned(request, address)
        try:
            return await transport.handle_async_request(pinned)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if address == addresses[-1]:
                raise
    raise LookupFailed


def _pinned(request: httpx.Request, address: IpAddress) -> httpx.Request:
    url = request.url
    headers = request.headers.copy()
    headers["Host"] = url.netloc.decode("ascii")
    extensions = {**request.extensions, "sni_hostname": host_of(url).rstrip(".")}
    pinned = url.copy_with(host=str(address), userinfo=b"", fragment=None)
    return httpx.Request(request.method, pinned, headers=headers, content=request.content, extensions=extensions)


def basic_authorization(url: httpx.URL) -> str | None:
    """The header that stands for the user and password in ``url``; None without them."""
    if not url.userinfo:
        return None
    return "Basic " + b64encode(f"{url.username}:{url.password}".encode()).decode("ascii")
