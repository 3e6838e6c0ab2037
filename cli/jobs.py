"""``whisperapi jobs``: look at recordings with a callback, try them again, end them, with the server running or not.

The table and JSON go to the output, what a person reads besides to the error stream. Exit status 0: done; 1: refused, and
why; 2: wrong arguments.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Table

from app.domain.jobs import FINISHED, Job, JobState
from app.services.jobs import Jobs
from app.settings import Settings
from app.wiring import build_jobs
from cli.failures import plain_failures

jobs_app = typer.Typer(help="List, show, retry and cancel recordings with a callback.", no_args_is_help=True)

_STYLES = {JobState.DONE: "green", JobState.FAILED: "red", JobState.CANCELLED: "yellow"}

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Id of the request, or how it begins.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@jobs_app.command("list")
def list_jobs(
    as_json: JsonOption = False,
    everything: Annotated[bool, typer.Option("--all", help="Include finished jobs.")] = False,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
) -> None:
    """List jobs, oldest first."""
    with _jobs() as jobs:
        found = [job for job in jobs.list() if _is_wanted(job, state, everything=everything)]
    if as_json:
        typer.echo(json.dumps([_record(job) for job in found]))
    elif found:
        _print_table(found)
    else:
        typer.echo("No such jobs. Finished ones are shown with --all.", err=True)


@jobs_app.command()
def show(job: JobArgument, as_json: JsonOption = False) -> None:
    """Show one job. What was said in it is never shown."""
    with _jobs() as jobs:
        found = jobs.find(job)
    _tell(found, as_json=as_json)


@jobs_app.command()
def retry(job: JobArgument, as_json: JsonOption = False) -> None:
    """Run a failed job again, or deliver what could not be delivered."""
    with _jobs() as jobs:
        found = jobs.retry(job)
    if not as_json:
        typer.echo(f"Job {found.job_id} is {found.state.value} again.", err=True)
    _tell(found, as_json=as_json)


@jobs_app.command()
def cancel(
    job: JobArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """End a job and forget its audio. A running one stops within about a second; its callback hears nothing."""
    with _jobs() as jobs:
        found = jobs.find(job)
        if not yes:
            typer.confirm(f"Cancel job {found.job_id}?", abort=True, err=True)
        ended = jobs.cancel(found.job_id)
    if not as_json:
        typer.echo(f"Cancelled job {ended.job_id}.", err=True)
    _tell(ended, as_json=as_json)


@contextmanager
def _jobs() -> Iterator[Jobs]:
    """Jobs over the configured database, migrated. Failures end the program with a sentence."""
    with plain_failures(), closing(build_jobs(Settings())) as jobs:
        yield jobs


def _is_wanted(job: Job, state: JobState | None, *, everything: bool) -> bool:
    if state is not None:
        return job.state is state
    return everything or job.state not in FINISHED or job.state is JobState.FAILED


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _host(url: str) -> str:
    """Where a callback goes, without the parts of its URL that may be secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}"


def _record(job: Job) -> dict[str, object]:
    return {
        "id": job.job_id,
        "state": job.state.value,
        "problem": job.problem or None,
        "created": _iso(job.created),
        "due": None if job.state in FINISHED else _iso(job.due),
        "finished": _iso(job.finished),
        "key_id": job.key_id or None,
        "callback": _host(job.callback.url),
        "method": job.callback.method,
        "audio": "url" if job.audio_url else "upload",
        "audio_bytes": job.audio_bytes,
        "attempts": job.attempts,
        "failed_deliveries": job.deliveries,
    }


def _tell(job: Job, *, as_json: bool) -> None:
    record = _record(job)
    if as_json:
        typer.echo(json.dumps(record))
        return
    for name, value in record.items():
        if value is not None:
            typer.echo(f"{name + ':':20}{value}")


def _print_table(jobs: list[Job]) -> None:
    table = Table()
    for heading in ("Id", "State", "Created", "Callback", "Attempts", "Failed deliveries", "Problem"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "Id")
    for job in jobs:
        state = f"[{_STYLES[job.state]}]{job.state.value}[/]" if job.state in _STYLES else job.state.value
        created = job.created.strftime("%Y-%m-%d %H:%MZ")
        counts = (str(job.attempts), str(job.deliveries))
        table.add_row(job.job_id, state, created, _host(job.callback.url), *counts, job.problem)
    console = Console()
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no edge to fold at
    console.print(table)
