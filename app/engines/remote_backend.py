"""Another server that recognises speech for this one: where it is, what it is told, how much it is asked at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

import httpx

from app.domain.languages import WHISPER_V3_LANGUAGES
from app.domain.ports import EngineCapabilities

TRANSCRIPTIONS = "/audio/transcriptions"
TRANSLATIONS = "/audio/translations"
MODELS = "/models"

MAX_WINDOW_S = 30.0
"""Servers take any length, but a window of Whisper's is what one decode is, here and there."""

_NEAR_ENDINGS = (".internal", ".local", ".localhost")


@dataclass(frozen=True, slots=True)
class Backend:
    """One server of OpenAI's audio interface, as its operator describes it.

    ``url`` may be the host alone (``/v1`` is meant), end before ``/audio/transcriptions`` or behind it; ``model`` None sends
    no such field; ``authorization`` is the whole header. ``needs_wav``: sound goes as WAV, wherever it
    is. ``timeout_s`` bounds one decode, second tries included; at most ``parallel`` requests are under way.
    ``translates``: it has ``/audio/translations`` too.
    """

    name: str
    url: str
    model: str | None = None
    needs_wav: bool = False
    authorization: str = field(default="", repr=False)
    timeout_s: float = 60.0
    parallel: int = 4
    languages: tuple[str, ...] = WHISPER_V3_LANGUAGES
    translates: bool = False

    @property
    def capabilities(self) -> EngineCapabilities:
        """What it can do by its description; what its answers hold shows later."""
        return EngineCapabilities(
            self.languages,
            len(self.languages) > 1,
            self.translates,
            MAX_WINDOW_S,
            searches=False,
            may_begin_in_vain=is_near(httpx.URL(self.url).host),  # a server out there may want money for each request
        )

    @property
    def takes_wav(self) -> bool:
        """Whether sound goes there as WAV, else as FLAC: bytes cost less than packing them where no network is between."""
        return self.needs_wav or is_here(httpx.URL(self.url).host)

    def endpoint(self, route: str) -> httpx.URL:
        """The address of ``TRANSCRIPTIONS``, ``TRANSLATIONS`` or ``MODELS`` at this server."""
        url = httpx.URL(self.url)
        base = url.path.rstrip("/").removesuffix(TRANSCRIPTIONS).removesuffix("/audio") if url.path != "/" else "/v1"
        return url.copy_with(path=base + route)


def may_follow(url: httpx.URL, target: httpx.URL) -> bool:
    """Sound and credentials stay with the server that the operator named; it may ask to be spoken to in secret."""
    if target.host != url.host:
        return False
    is_upgrade = (url.scheme, target.scheme) == ("http", "https")
    return is_upgrade or (target.scheme, target.port) == (url.scheme, url.port)


def is_near(host: str) -> bool:
    """Whether the name is of this machine or network: a neighbour in a compose file has a name without dots."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith(_NEAR_ENDINGS)


def is_here(host: str) -> bool:
    """Whether the name is surely this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
