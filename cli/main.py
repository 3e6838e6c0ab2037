"""``whisperapi``: the one program, and its commands."""

from __future__ import annotations

import typer

from app import __version__
from cli.bench import bench
from cli.doctor import doctor
from cli.engine import engine_app
from cli.jobs import jobs_app
from cli.keys import keys_app
from cli.listen import listen
from cli.models import models_app
from cli.ps import ps
from cli.serve import serve
from cli.stream import stream
from cli.transcribe import transcribe
from cli.usage import usage
from cli.wyoming import wyoming

app = typer.Typer(
    help="Speech-to-text on your own machine: Deepgram's interface, powered by whisper.cpp.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # locals may hold keys and transcripts
)
app.command()(serve)
app.command()(transcribe)
app.command()(stream)
app.command()(listen)
app.command()(wyoming)
app.command()(usage)
app.command()(ps)
app.command()(doctor)
app.command()(bench)
app.add_typer(keys_app, name="keys")
app.add_typer(jobs_app, name="jobs")
app.add_typer(models_app, name="models")
app.add_typer(engine_app, name="engine")


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)
