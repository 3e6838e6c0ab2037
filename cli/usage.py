"""``whisperapi usage``: what the server has done, from its record, with the server running or not."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain.usage import UsageFilter
from app.services.accounts import STATIC_KEY_ID
from app.services.usage import Grouping, Sums, UsageQuestion
from app.settings import Settings
from app.wiring import build_accounts, build_usage
from cli.failures import plain_failures
from cli.keys import JsonOption, parse_duration, parse_moment

NOTHING = "(none)"


class By(str, Enum):
    """What the lines of the table stand for."""

    DAY = "day"
    MODEL = "model"
    KEY = "key"
    TAG = "tag"
    METHOD = "method"
    FEATURES = "features"


def usage(
    by: Annotated[By, typer.Option(help="What each line sums up.")] = By.DAY,
    last: Annotated[
        int | None, typer.Option(parser=parse_duration, metavar="DURATION", help="Only the last 90m, 24h, 30d.")
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(parser=parse_moment, metavar="TIME", help="From this time on, ISO 8601; UTC if no zone."),
    ] = None,
    end: Annotated[datetime | None, typer.Option(parser=parse_moment, metavar="TIME", help="Before this time.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model, by name or id.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only requests with this tag.")] = None,
    key: Annotated[str | None, typer.Option(help="Only this key: id, prefix or name.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how many requests were served, and how much sound, by day, model, key or tag."""
    if last is not None:
        if start is not None:
            raise typer.BadParameter("Give --last or --start, not both.")
        start = datetime.now(timezone.utc) - timedelta(seconds=last)
    with plain_failures():
        settings = Settings()
        with closing(build_accounts(settings)) as accounts:
            names = {STATIC_KEY_ID: "static key"} | {each.key_id: each.name or each.prefix for each in accounts.list()}
            key_id = None if key is None else accounts.find(key).key_id
        _, record = build_usage(settings)
        with closing(record):
            question = UsageQuestion(UsageFilter(start=start, end=end, key_id=key_id), model, tag)
            lines = record.by_day(question) if by is By.DAY else record.grouped(question, Grouping(by.value))
            total = record.total(question)
    if as_json:
        typer.echo(json.dumps({"by": by.value, "results": [_record(by, *line) for line in lines], "total": _sums(total)}))
    elif lines:
        _print_table(by, [(names.get(value, value) if by is By.KEY else value, sums) for value, sums in lines], total)
    else:
        typer.echo("No requests on record.", err=True)


def _record(by: By, value: str, sums: Sums) -> dict[str, object]:
    return {by.value: value, **_sums(sums)}


def _sums(sums: Sums) -> dict[str, object]:
    return {
        "requests": sums.requests,
        "failed": sums.failed,
        "audio_seconds": round(sums.audio_s, 3),
        "channel_seconds": round(sums.channel_s, 3),
    }


def _print_table(by: By, lines: list[tuple[str, Sums]], total: Sums) -> None:
    # a request with several tags is under each of them: those lines do not add up
    table = Table(show_footer=True)
    table.add_column(by.value.capitalize(), footer="all requests" if by is By.TAG else "total", overflow="fold")
    for heading, footer in zip(("Requests", "Failed", "Audio", "All channels"), _cells(total), strict=True):
        table.add_column(heading, footer=footer, justify="right", no_wrap=True)
    for value, sums in lines:
        # Text, not str: a tag in square brackets is a tag, not markup
        table.add_row(Text(value or NOTHING), *_cells(sums))
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no edge to fold at
    console.print(table)


def _cells(sums: Sums) -> tuple[str, str, str, str]:
    return str(sums.requests), str(sums.failed), _clock(sums.audio_s), _clock(sums.channel_s)


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
