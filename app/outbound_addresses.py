"""Which URLs and addresses the server may connect to on a client's behalf."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias, cast

import httpx

IpAddress: TypeAlias = IPv4Address | IPv6Address

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that is routed today; outside it lie fec0::/10, which Python calls global
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP_MARKS = (0x0000_5EFE, 0x0200_5EFE)

_NEVER_PUBLIC: tuple[IPv4Network | IPv6Network, ...] = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments; Python versions disagree on parts of it
    IPv4Network("192.88.99.0/24"),  # relays of 6to4, withdrawn
    IPv4Network("168.63.129.16/32"),  # Azure's host agent: a public number that answers only inside a virtual machine
    IPv6Network("2001::/23"),  # protocol assignments, Teredo among them: tunnels end at hosts we cannot judge
    IPv6Network("2002::/16"),  # 6to4, withdrawn: each address is a tunnel to an IPv4 host
    IPv6Network("3fff::/20"),  # documentation; older Pythons do not know it
)

_PORTS = {"http": 80, "https": 443}
_HOST_NAME = re.compile(r"(?=.{1,254}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_NUMERIC_HOST = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}", re.IGNORECASE)


def is_public(address: IpAddress) -> bool:
    """Whether ``address`` is an ordinary host of the public internet.

    IPv6 forms that carry an IPv4 address (mapped, NAT64, ISATAP) are public only if that address is; 6to4 and Teredo,
    which are out of use, never are.
    """
    if isinstance(address, IPv4Address):
        return _is_ordinary(address)
    inner = address.ipv4_mapped or (_low_ipv4(address) if address in _NAT64 else None)
    if inner is not None:
        return _is_ordinary(inner)
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP_MARKS and not _is_ordinary(_low_ipv4(address)):
        return False
    return address in _GLOBAL_UNICAST and address.scope_id is None and _is_ordinary(address)


def _is_ordinary(address: IpAddress) -> bool:
    if any(address.version == network.version and address in network for network in _NEVER_PUBLIC):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _low_ipv4(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFF_FFFF)


class AllowList:
    """Host names, addresses and networks that may be fetched from though they are not public.

    Names match exactly, in any case, and stand for every address they resolve to. ``ValueError``: an entry with a slash
    that is not a network, or one that is neither an address nor a host name.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            network = _network(entry)
            if network is not None:
                self._networks.append(network)
            elif _HOST_NAME.fullmatch(entry):
                self._names.add(entry.rstrip(".").lower())
            else:
                raise ValueError(f"not a host name, an address or a network: {entry!r}")

    def allows_name(self, host: str) -> bool:
        """Whether every address of ``host`` is allowed."""
        return host.rstrip(".").lower() in self._names

    def allows_address(self, address: IpAddress) -> bool:
        """Whether one of the entries covers ``address``; an IPv4-mapped address counts as the IPv4 one."""
        plain = (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
        return any(plain.version == network.version and plain in network for network in self._networks)


def _network(entry: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def parse_url(url: str, base: httpx.URL | None = None) -> httpx.URL:
    """An absolute http or https URL with a possible port, whose host is an address or could be a name.

    ``base`` is what a relative ``url`` (a redirect) counts from. ``ValueError``: not such a URL.
    """
    try:
        parsed = base.join(url) if base is not None else httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError("not a URL") from error
    if parsed.scheme not in _PORTS or not 0 < port_of(parsed) < 65_536:
        raise ValueError("not a URL of HTTP")
    host = host_of(parsed)
    if parse_literal(host) is None and not _HOST_NAME.fullmatch(host):
        raise ValueError("not a host name")
    return parsed


def host_of(url: httpx.URL) -> str:
    """The host in ASCII, without brackets."""
    return url.raw_host.decode("ascii")


def port_of(url: httpx.URL) -> int:
    """The port, given or implied; 0 for schemes other than HTTP's."""
    return _PORTS.get(url.scheme, 0) if url.port is None else url.port


def parse_literal(host: str) -> IpAddress | None:
    """The address that ``host`` spells out, or None if it is a name.

    Shortened, octal and hexadecimal IPv4 (``127.1``, ``0x7f000001``, ``2130706433``) is read as the system's resolver
    reads it, here, so that the outcome does not depend on the system. ``ValueError``: all numbers, yet no address.
    """
    try:
        return ip_address(host)
    except ValueError:
        bare = host.rstrip(".")
        if not _NUMERIC_HOST.fullmatch(bare):
            return None
    try:
        return IPv4Address(socket.inet_aton(bare))
    except OSError:
        raise ValueError("not an IPv4 address") from None


async def resolve(host: str, port: int) -> list[IpAddress]:
    """Ask the system's resolver, off the event loop. ``OSError`` or ``UnicodeError``: no answer, or not a name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_address(cast("str", sockaddr[0])) for *_, sockaddr in found))
