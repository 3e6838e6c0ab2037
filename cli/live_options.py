"""The options that ``stream`` and ``listen`` share, and the address that they make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import typer

from cli.live_source import LiveSource

DEFAULT_URL = "ws://127.0.0.1:7860"

_PATH = "/v1/listen"
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}
_OURS = frozenset({"encoding", "sample_rate", "channels"})


def _checked_url(value: str) -> str:
    """The whole address of the route: a host is enough, a path in front of ``/v1/listen`` is kept."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise typer.BadParameter(f"Give an address like {DEFAULT_URL} or wss://example.org.")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise typer.BadParameter("Give the address alone; parameters go into --param, the key into --key.")
    path = parts.path.rstrip("/").removesuffix(_PATH).removesuffix("/v1") + _PATH
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, "", ""))


def _checked_key(value: str | None) -> str | None:
    if value is not None and (not value.isascii() or not value.isprintable() or " " in value):
        raise typer.BadParameter("This is no key: keys are letters and digits.")
    return value or None


def _checked_endpointing(value: str | None) -> str | None:
    if value is None or value in ("true", "false") or (value.isascii() and value.isdecimal()):
        return value
    raise typer.BadParameter("Give milliseconds, or `false` for none.")


def _checked_params(values: Any) -> list[str]:  # a list of strings; Python 3.10's Typer fails on a callback that says so
    for value in values:
        name, equals, _ = value.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{value!r} is not name=value.")
        if name in _OURS:
            raise typer.BadParameter(f"{name} describes what is sent; the program sets it itself.")
    return list(values)


Url = Annotated[str, typer.Option(help="Server; https and http are taken as wss and ws.", callback=_checked_url)]
Key = Annotated[
    str | None,
    typer.Option(
        envvar=["WHISPERAPI_API_KEY", "WHISPERAPI_KEY"],
        help="API key. The environment hides it better than the command line does.",
        callback=_checked_key,
    ),
]
Model = Annotated[str | None, typer.Option(help="Model; the server's default one otherwise.")]
Language = Annotated[str | None, typer.Option(help="Language code, or `multi` to detect it.")]
Interims = Annotated[
    bool | None,
    typer.Option(
        "--interim-results/--no-interim-results", help="Words before they are final. On where a terminal shows them."
    ),
]
Punctuate = Annotated[bool, typer.Option(help="Punctuation and capitals.")]
Endpointing = Annotated[
    str | None,
    typer.Option(help="Milliseconds of silence that end an utterance, or `false`.", callback=_checked_endpointing),
]
UtteranceEnd = Annotated[
    int | None, typer.Option(min=0, help="Milliseconds between words that UtteranceEnd reports (--json).")
]
VadEvents = Annotated[bool, typer.Option("--vad-events", help="Report where speech starts (--json).")]
Params = Annotated[
    list[str], typer.Option("--param", help="Any other parameter, as name=value. Repeatable.", callback=_checked_params)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print every message of the server as one line of JSON.")]


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of the server, apart from the form of the sound. None: the server's own default."""

    model: str | None
    language: str | None
    interim_results: bool
    punctuate: bool
    endpointing: str | None
    utterance_end_ms: int | None
    vad_events: bool
    multichannel: bool
    params: list[str]

    def address(self, url: str, source: LiveSource) -> str:
        """The address of a stream from ``source``. A name in ``params`` replaces the option of that name."""
        given = [(name, value) for name, _, value in (param.partition("=") for param in self.params)]
        named = {name for name, _ in given}
        options = {
            "model": self.model,
            "language": self.language,
            "interim_results": self.interim_results or None,
            "punctuate": self.punctuate or None,
            "endpointing": self.endpointing,
            "utterance_end_ms": self.utterance_end_ms,
            "vad_events": self.vad_events or None,
            "multichannel": self.multichannel or None,
        }
        pairs: list[tuple[str, object]] = [
            ("encoding", "linear16"),
            ("sample_rate", source.sample_rate),
            ("channels", source.channels),
        ]
        pairs += [(name, value) for name, value in options.items() if value is not None and name not in named]
        return f"{url}?{urlencode([(n, 'true' if v is True else v) for n, v in [*pairs, *given]])}"
