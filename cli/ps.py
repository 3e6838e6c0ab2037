"""``whisperapi ps``: which models the running server has loaded, asked of the server itself."""

from __future__ import annotations

import json
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.settings import Settings
from cli.failures import failed, plain_failures
from cli.keys import JsonOption

PATIENCE_S = 10.0

_REACHED_AT = {"0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not bound


def ps(
    url: Annotated[str | None, typer.Option(help="The server. Default: the one of the settings, on this machine.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the loaded models: workers, memory, who uses them, when they leave."""
    with plain_failures():
        body = _ask((url or _own_url(Settings())).rstrip("/"))
    if as_json:
        typer.echo(json.dumps(body))
    elif body["models"]:
        _print_table(body)
    else:
        typer.echo("No model is loaded; the next request loads one.", err=True)


def _own_url(settings: Settings) -> str:
    host = _REACHED_AT.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _ask(url: str) -> dict[str, Any]:
    try:
        # the server is on this machine or named on purpose: no proxy in between
        with httpx.Client(trust_env=False, timeout=PATIENCE_S) as client:
            answer = client.get(f"{url}/v1/models/resident")
        body: dict[str, Any] = answer.raise_for_status().json()
        _ = body["models"]  # another program may listen there
    except (httpx.HTTPError, httpx.InvalidURL):
        raise failed(f"No server answers at {url}. Start one with `whisperapi serve`, or name it with --url.") from None
    except (ValueError, KeyError, TypeError):
        raise failed(f"What listens at {url} is no Whisper API of this version.") from None
    return body


def _print_table(body: dict[str, Any]) -> None:
    table = Table()
    for heading in ("Model", "State", "Workers", "Memory", "In use", "Last use", "Leaves"):
        table.add_column(heading, justify="right" if heading in ("Workers", "Memory", "In use") else "left")
    for model in body["models"]:
        table.add_row(
            Text(model["name"]),
            model["state"],
            str(model["workers"]),
            f"{'' if model['memory_measured'] else '~'}{model['memory_mb']} MB",
            str(model["users"]),
            "now" if model["users"] else f"{_clock(model['idle_seconds'])} ago",
            _leaves(model),
        )
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no edge to fold at
    console.print(table)
    if body["memory_budget_mb"] is not None:
        console.print(f"{body['memory_mb']} of {body['memory_budget_mb']} MB")


def _leaves(model: dict[str, Any]) -> str:
    if model["kept"]:
        return "kept"
    if model["state"] == "leaving":
        return "after its last user"
    left_s = model["expires_in_seconds"]
    return "not by time" if left_s is None else f"in {_clock(left_s)}"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return (
        f"{whole} s"
        if whole < 60
        else f"{whole // 60} min"
        if whole < 3600
        else f"{whole // 3600} h {whole % 3600 // 60} min"
    )
