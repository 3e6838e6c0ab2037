"""``whisperapi keys``: create, list, revoke and rotate API keys, with the server running or not.

What a person reads goes to the error stream, what a program may want (the secret, the table, JSON) to the output:
``KEY=$(whisperapi keys create laptop)`` works. Exit status 0: done; 1: refused, and why; 2: wrong arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain.ports import ApiKey, KeyStatus
from app.domain.project import PROJECT_ID
from app.services.accounts import DEFAULT_SCOPES, Accounts
from app.services.tokens import Tokens
from app.settings import Settings
from app.storage.database import open_database
from app.storage.migrate import upgrade
from app.storage.secrets import SqlSecretStore
from app.storage.stores import SqlKeyStore
from cli.failures import plain_failures

keys_app = typer.Typer(help="Create, list, revoke and rotate API keys.", no_args_is_help=True)

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_STYLES = {KeyStatus.ACTIVE: "green", KeyStatus.EXPIRED: "yellow", KeyStatus.REVOKED: "red"}


def parse_duration(text: str) -> int:
    """Seconds in ``90s``, ``15m``, ``12h`` or ``30d``. Raises ``typer.BadParameter``."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a duration such as 90s, 15m, 12h or 30d.")
    return int(match[1]) * _UNITS_S[match[2]]


def parse_moment(text: str) -> datetime:
    """An ISO 8601 date or time as aware UTC; without a zone it is taken as UTC. Raises ``typer.BadParameter``."""
    try:
        moment = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))  # Python 3.10 does not read the Z
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a time such as 2027-01-31 or 2027-01-31T12:00:00Z.") from None


KeyArgument = Annotated[
    str, typer.Argument(metavar="KEY", help="Id, prefix, name, or the secret itself.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@keys_app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.", show_default=False)] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="A scope (usage:write) or a role (member, admin, owner); repeatable. Default: member."),
    ] = None,
    expires_in: Annotated[
        int | None, typer.Option(parser=parse_duration, metavar="DURATION", help="Lifetime: 90s, 15m, 12h, 30d.")
    ] = None,
    expires_at: Annotated[
        datetime | None, typer.Option(parser=parse_moment, metavar="TIME", help="End of its life, ISO 8601; UTC if no zone.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A label for the key; repeatable.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a key and show its secret, this once."""
    if expires_in is not None and expires_at is not None:
        raise typer.BadParameter("Give --expires-in or --expires-at, not both.")
    with _accounts() as accounts:
        key, secret = accounts.create(name, scope or DEFAULT_SCOPES, tags=tag or (), expires=expires_at, ttl_s=expires_in)
    _show_secret(key, secret, {} if as_json else None)


@keys_app.command("list")
def list_keys(
    as_json: JsonOption = False,
    everything: Annotated[bool, typer.Option("--all", help="Include revoked and expired keys.")] = False,
) -> None:
    """List keys. Their secrets are not stored and cannot be shown."""
    now = _now()
    with _accounts() as accounts:
        keys = [key for key in accounts.list() if everything or key.status(now) is KeyStatus.ACTIVE]
    if as_json:
        typer.echo(json.dumps([_record(key, now) for key in keys]))
    elif keys:
        _print_table(keys, now)
    else:
        typer.echo("No keys. Create one with: whisperapi keys create NAME", err=True)


@keys_app.command()
def revoke(
    key: KeyArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """End a key at once. It stops working within a second, on running servers too."""
    with _accounts() as accounts:
        found = accounts.find(key)
        if not yes:
            typer.confirm(f"Revoke {_describe(found)}?", abort=True, err=True)
        ended = accounts.revoke(found.key_id)
    if as_json:
        typer.echo(json.dumps(_record(ended, _now())))
    else:
        typer.echo(f"Revoked {_describe(ended)}.", err=True)


@keys_app.command()
def rotate(
    key: KeyArgument,
    grace: Annotated[
        int, typer.Option(parser=parse_duration, metavar="DURATION", help="How long the old secret still works.")
    ] = "0s",  # type: ignore[assignment]  # Typer passes a default through the parser
    as_json: JsonOption = False,
) -> None:
    """Replace a key by one with a new secret and the same name, scopes and lifetime."""
    with _accounts() as accounts:
        old = accounts.find(key)
        successor, secret = accounts.rotate(old.key_id, grace)
        ended = next(each.revoked for each in accounts.list() if each.key_id == old.key_id)
    _show_secret(successor, secret, {"replaces": old.key_id, "replaced_until": _iso(ended)} if as_json else None)
    if not as_json:
        typer.echo(f"The old secret ({old.prefix}...) works until {_iso(ended)}.", err=True)


@keys_app.command("rotate-secret")
def rotate_secret(
    grace: Annotated[
        int, typer.Option(parser=parse_duration, metavar="DURATION", help="How long tokens of the old secret still work.")
    ] = "1h",  # type: ignore[assignment]  # Typer passes a default through the parser
    as_json: JsonOption = False,
) -> None:
    """Replace the secret that short-lived tokens are signed with. Keys stay as they are."""
    with plain_failures():
        settings = Settings()
        upgrade(settings.resolved_database_url)
        store = SqlSecretStore(open_database(settings.resolved_database_url))
        with closing(Tokens(store, _now, PROJECT_ID)) as tokens:
            retires = tokens.rotate(grace)
    if as_json:
        typer.echo(json.dumps({"replaced_until": _iso(retires)}))
    else:
        typer.echo(f"Tokens are signed with a new secret; those handed out before work until {_iso(retires)}.", err=True)


@contextmanager
def _accounts() -> Iterator[Accounts]:
    """Accounts over the configured database, migrated. Failures end the program with a sentence."""
    with plain_failures():
        settings = Settings()
        upgrade(settings.resolved_database_url)
        with closing(Accounts(SqlKeyStore(open_database(settings.resolved_database_url)), _now)) as accounts:
            yield accounts


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _describe(key: ApiKey) -> str:
    return f"{key.prefix}... ({key.name})" if key.name else f"{key.prefix}..."


def _record(key: ApiKey, now: datetime) -> dict[str, object]:
    return {
        "id": key.key_id,
        "prefix": key.prefix,
        "name": key.name,
        "scopes": list(key.scopes),
        "tags": list(key.tags),
        "status": key.status(now).value,
        "created": _iso(key.created),
        "expires": _iso(key.expires),
        "revoked": _iso(key.revoked),
        "last_used": _iso(key.last_used),
    }


def _show_secret(key: ApiKey, secret: str, json_extra: Mapping[str, object] | None) -> None:
    """The secret alone on a line, or a JSON object with ``key`` and ``json_extra``."""
    if json_extra is not None:
        typer.echo(json.dumps({**_record(key, _now()), "key": secret, **json_extra}))
        return
    until = "does not expire" if key.expires is None else f"expires {_iso(key.expires)}"
    typer.echo(f"Created {_describe(key)}; scopes {', '.join(key.scopes)}; {until}.", err=True)
    typer.echo("The key is shown once; keep it somewhere safe:", err=True)
    typer.echo(secret)


def _print_table(keys: list[ApiKey], now: datetime) -> None:
    table = Table()
    for heading in ("Prefix", "Name", "Scopes", "Created", "Ends", "Last used", "Status"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "Prefix")
    for key in keys:
        status = key.status(now)
        times = (_minute(key.created), _minute(_end(key)), _minute(key.last_used))
        # Text, not str: a name in square brackets is a name, not markup.
        table.add_row(key.prefix, Text(key.name), ", ".join(key.scopes), *times, Text(status.value, style=_STYLES[status]))
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no edge to fold at
    console.print(table)


def _end(key: ApiKey) -> datetime | None:
    return min((moment for moment in (key.expires, key.revoked) if moment is not None), default=None)


def _minute(moment: datetime | None) -> str:
    return "never" if moment is None else moment.strftime("%Y-%m-%d %H:%MZ")
