"""``whisperapi transcribe FILE...``: the same service as ``POST /v1/listen``, in this process."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from enum import Enum
from hashlib import sha256
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.dialects.deepgram_rest import RequestFacts, render_response
from app.dialects.subtitles import render_srt, render_text, render_vtt
from app.domain.errors import SttError
from app.domain.languages import whisper_language
from app.domain.options import TextOptions, TranscribeOptions
from app.domain.transcript import Transcript
from app.services.bundle import Services
from app.settings import Settings
from app.telemetry import configure_logging
from app.wiring import build_catalog, start_services
from cli.failures import plain_failures
from cli.models import ensure_default_model


class Format(str, Enum):
    """What is printed."""

    TEXT = "text"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"


def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Recordings, in any usual format.", exists=True, dir_okay=False)],
    output: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TEXT,
    model: Annotated[str | None, typer.Option(help="Model; the default one otherwise.")] = None,
    language: Annotated[str, typer.Option(help="Language code, or `auto` to detect it.")] = "en",
    translate: Annotated[bool, typer.Option(help="Translate into English.")] = False,
    multichannel: Annotated[bool, typer.Option(help="Transcribe each channel apart.")] = False,
) -> None:
    """Transcribe recordings without a server."""
    with plain_failures():
        failures = _transcribe(files, output, model, language, translate, multichannel)
    if failures:
        raise typer.Exit(1)


def _transcribe(
    files: list[Path], output: Format, model: str | None, language: str, translate: bool, multichannel: bool
) -> int:
    console = Console(stderr=True)
    settings = Settings()
    configure_logging("warning", settings.log_format)
    if model is not None:
        settings = settings.model_copy(update={"default_model": model})
    found, notice = ensure_default_model(settings, build_catalog(settings), console)
    settings = settings.model_copy(update={"default_model": found.info.name, "preload_models": ()})
    if notice is not None:
        console.print(f"NOTE: {notice}", highlight=False)
    detect = language == "auto"
    options = TranscribeOptions(
        language="en" if detect else whisper_language(language),
        detect_language=detect,
        translate=translate,
        multichannel=multichannel,
        text=TextOptions(punctuate=True, paragraphs=True, utterances=True, filler_words=True),
    )
    return asyncio.run(_transcribe_all(settings, files, options, output, console))


async def _transcribe_all(
    settings: Settings, files: list[Path], options: TranscribeOptions, output: Format, console: Console
) -> int:
    """Print every transcript as it is done; the number of files that failed."""
    services = await start_services(settings)
    failures = 0
    try:
        for file in files:
            transcript = await _transcribe_one(services, file, options, console)
            if transcript is None:
                failures += 1
            else:
                print(_render(transcript, options, output, file), end="")
    finally:
        await services.models.close()
        services.accounts.close()
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
            console.print(f"error: {file.name}: {error.message}", highlight=False)
            return None


def _render(transcript: Transcript, options: TranscribeOptions, output: Format, file: Path) -> str:
    if output is Format.JSON:
        facts = RequestFacts(str(uuid4()), datetime.now(timezone.utc), _digest(file))
        return render_response(transcript, options, facts).decode() + "\n"
    return {Format.TEXT: render_text, Format.SRT: render_srt, Format.VTT: render_vtt}[output](transcript)


def _digest(file: Path) -> str:
    digest = sha256()
    with file.open("rb") as source:
        while data := source.read(1024 * 1024):
            digest.update(data)
    return digest.hexdigest()
