"""``whisperapi transcribe FILE...``: the same service as ``POST /v1/listen``, in this process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
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
from app.domain.options import Keyterm, TextOptions, TranscribeOptions
from app.domain.text.cues import CueLimits
from app.domain.transcript import Transcript
from app.domain.vocabulary import check_keyterms, strongest
from app.services.bundle import Services
from app.settings import Settings
from app.telemetry import configure_logging
from app.wiring import build_catalog, start_services
from cli.captions import DEFAULTS, CaptionDuration, CaptionLineLength, CaptionLines
from cli.failures import plain_failures
from cli.models import ensure_default_model


class Format(str, Enum):
    """What is printed."""

    TEXT = "text"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"


@dataclass(frozen=True, slots=True)
class Rendering:
    """How a transcript is printed."""

    format: Format
    captions: CueLimits

    def render(self, transcript: Transcript, options: TranscribeOptions, file: Path) -> str:
        if self.format is Format.JSON:
            facts = RequestFacts(str(uuid4()), datetime.now(timezone.utc), _digest(file))
            return render_response(transcript, options, facts).decode() + "\n"
        if self.format is Format.TEXT:
            return render_text(transcript)
        return (render_srt if self.format is Format.SRT else render_vtt)(transcript, self.captions)


def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Recordings, in any usual format.", exists=True, dir_okay=False)],
    output: Annotated[Format, typer.Option("--format", "-f", help="What to print.")] = Format.TEXT,
    model: Annotated[str | None, typer.Option(help="Model; the default one otherwise.")] = None,
    language: Annotated[str, typer.Option(help="Language code, or `auto` to detect it.")] = "en",
    translate: Annotated[bool, typer.Option(help="Translate into English.")] = False,
    multichannel: Annotated[bool, typer.Option(help="Transcribe each channel apart.")] = False,
    diarize: Annotated[bool, typer.Option("--diarize", help="Tell speakers apart: in captions and JSON.")] = False,
    keyterm: Annotated[list[str] | None, typer.Option(help="Word or phrase to favour; may be repeated.")] = None,
    caption_line_length: CaptionLineLength = DEFAULTS.line_length,
    caption_lines: CaptionLines = DEFAULTS.lines,
    caption_duration: CaptionDuration = DEFAULTS.duration_s,
) -> None:
    """Transcribe recordings without a server."""
    render = Rendering(output, CueLimits(caption_line_length, caption_lines, caption_duration))
    with plain_failures():
        failures = _transcribe(files, render, model, language, translate, multichannel, diarize, tuple(keyterm or ()))
    if failures:
        raise typer.Exit(1)


def _transcribe(
    files: list[Path],
    output: Rendering,
    model: str | None,
    language: str,
    translate: bool,
    multichannel: bool,
    diarize: bool,
    keyterms: tuple[str, ...],
) -> int:
    check_keyterms(keyterms)
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
        keyterms=strongest(Keyterm(term) for term in keyterms),
        multichannel=multichannel,
        diarize=diarize,
        text=TextOptions(punctuate=True, paragraphs=True, utterances=True, filler_words=True),
    )
    return asyncio.run(_transcribe_all(settings, files, options, output, console))


async def _transcribe_all(
    settings: Settings, files: list[Path], options: TranscribeOptions, output: Rendering, console: Console
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
                print(output.render(transcript, options, file), end="")
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


def _digest(file: Path) -> str:
    digest = sha256()
    with file.open("rb") as source:
        while data := source.read(1024 * 1024):
            digest.update(data)
    return digest.hexdigest()
