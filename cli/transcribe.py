"""``whisperapi transcribe FILE...``: the same service as ``POST /v1/listen``, in this process."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.dialects.deepgram_options import ListenRequest, parse_listen
from app.dialects.deepgram_rest import RequestFacts, render_response
from app.dialects.subtitles import render_srt, render_text, render_vtt
from app.domain.errors import SttError
from app.domain.options import TranscribeOptions
from app.domain.transcript import Transcript
from app.services.bundle import Services
from app.settings import Settings
from app.telemetry import configure_logging
from app.wiring import build_catalog, start_services
from cli.captions import DEFAULTS, CaptionDuration, CaptionLineLength, CaptionLines
from cli.failures import plain_failures
from cli.live_options import Params
from cli.models import ensure_default_model


class Format(str, Enum):
    """What is printed."""

    TEXT = "text"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"


_AS_WRITTEN = (("punctuate", True), ("filler_words", True))
_IN_FULL = (*_AS_WRITTEN, ("paragraphs", True), ("utterances", True))


def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Recordings, in any usual format.", exists=True, dir_okay=False)],
    output: Annotated[Format, typer.Option("--format", "-f", help="What to print.")] = Format.TEXT,
    model: Annotated[str | None, typer.Option(help="Model; the default one otherwise.")] = None,
    language: Annotated[str, typer.Option(help="Language code, `auto` to detect it, `multi` if it changes.")] = "en",
    translate: Annotated[bool, typer.Option(help="Translate into English.")] = False,
    multichannel: Annotated[bool, typer.Option(help="Transcribe each channel apart.")] = False,
    diarize: Annotated[bool, typer.Option("--diarize", help="Tell speakers apart: in captions and JSON.")] = False,
    keyterm: Annotated[list[str] | None, typer.Option(help="Word or phrase to favour; may be repeated.")] = None,
    params: Params = [],  # noqa: B006 -- typer reads the default and hands out a new list
    caption_line_length: CaptionLineLength = DEFAULTS.line_length,
    caption_lines: CaptionLines = DEFAULTS.lines,
    caption_duration: CaptionDuration = DEFAULTS.duration_s,
) -> None:
    """Transcribe recordings without a server."""
    wishes: list[tuple[str, object]] = [
        *(_IN_FULL if output is Format.JSON else _AS_WRITTEN),
        ("detect_language", "true") if language == "auto" else ("language", language),
        ("translate", translate),
        ("multichannel", multichannel),
        ("diarize", diarize),
        *(("keyterm", term) for term in keyterm or ()),
        ("response_format", output.value),
        ("caption_line_length", caption_line_length),
        ("caption_lines", caption_lines),
        ("caption_duration", caption_duration),
    ]
    with plain_failures():
        failures = _transcribe(files, _asked(wishes, params), model)
    if failures:
        raise typer.Exit(1)


def _asked(wishes: list[tuple[str, object]], params: list[str]) -> ListenRequest:
    """The request that a client of the server would have made. A name in ``params`` replaces the option of that name."""
    given = [(name, value) for name, _, value in (param.partition("=") for param in params)]
    named = {name for name, _ in given}
    pairs = [(name, value) for name, value in wishes if value is not False and name not in named]
    query = urlencode([(name, "true" if value is True else value) for name, value in [*pairs, *given]])
    return parse_listen(query.encode(), Settings().max_channels)


def _transcribe(files: list[Path], asked: ListenRequest, model: str | None) -> int:
    console = Console(stderr=True)
    settings = Settings()
    configure_logging("warning", settings.log_format)
    if model is not None:
        settings = settings.model_copy(update={"default_model": model})
    found, notice = ensure_default_model(settings, build_catalog(settings), console)
    settings = settings.model_copy(update={"default_model": found.info.name, "preload_models": ()})
    if notice is not None:
        console.print(f"NOTE: {notice}", highlight=False, markup=False)
    return asyncio.run(_transcribe_all(settings, files, asked, console))


async def _transcribe_all(settings: Settings, files: list[Path], asked: ListenRequest, console: Console) -> int:
    """Print every transcript as it is done; the number of files that failed."""
    services = await start_services(settings)
    failures = 0
    try:
        for file in files:
            transcript = await _transcribe_one(services, file, asked.options, console)
            if transcript is None:
                failures += 1
            else:
                print(_rendered(transcript, asked, file), end="")
                if asked.response_format != "json":
                    _show_warnings(transcript, console)
    finally:
        await services.close()
    return failures


async def _transcribe_one(services: Services, file: Path, options: TranscribeOptions, console: Console) -> Transcript | None:
    """The transcript, or None after saying what went wrong."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:.0f} s"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress, file.open("rb") as source:
        task = progress.add_task(file.name, total=None)
        try:
            async with services.transcriber.admit(options) as job:
                return await job.run(source, lambda done_s: progress.update(task, completed=done_s))
        except SttError as error:
            console.print(f"error: {file.name}: {error.message}", highlight=False, markup=False)
            return None


def _show_warnings(transcript: Transcript, console: Console) -> None:
    """What was asked for and not done. Warnings of the model itself were printed at the start."""
    for warning in transcript.warnings:
        if warning.parameter != "model":
            console.print(f"warning: {warning.parameter}: {warning.message}", highlight=False, markup=False)


def _rendered(transcript: Transcript, asked: ListenRequest, file: Path) -> str:
    if asked.response_format == "json":
        facts = RequestFacts(str(uuid4()), datetime.now(timezone.utc), _digest(file), asked.tags, asked.extra)
        return render_response(transcript, asked.options, facts).decode() + "\n"
    if asked.response_format == "text":
        return render_text(transcript)
    return (render_srt if asked.response_format == "srt" else render_vtt)(transcript, asked.captions)


def _digest(file: Path) -> str:
    digest = sha256()
    with file.open("rb") as source:
        while data := source.read(1024 * 1024):
            digest.update(data)
    return digest.hexdigest()
