"""``whisperapi stream FILE``: a recording sent to a server as if it were being spoken."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated

import typer

from app.domain.audio import HEADERLESS_ENCODINGS, AudioFormat
from app.domain.text.cues import CueLimits
from cli.captions import DEFAULTS, CaptionDuration, CaptionLineLength, CaptionLines, CaptionsInto, CaptionWriter
from cli.failures import failed, plain_failures
from cli.live_client import LiveFailure
from cli.live_options import (
    DEFAULT_URL,
    AsJson,
    Endpointing,
    Interims,
    Key,
    Language,
    Model,
    Params,
    Punctuate,
    Query,
    Url,
    UtteranceEnd,
    VadEvents,
)
from cli.live_screen import Display, JsonLines, Screen
from cli.live_session import hold
from cli.live_source import LiveSource, open_file, open_pipe
from cli.pacing import Pacer

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells count it."""


def stream(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A recording in any usual format; `-`: standard input.")],
    url: Url = DEFAULT_URL,
    key: Key = None,
    speed: Annotated[
        float, typer.Option(min=0, help="1: as fast as it was spoken; 0: as fast as the server takes it.")
    ] = 1.0,
    model: Model = None,
    language: Language = None,
    interim_results: Interims = None,
    punctuate: Punctuate = True,
    endpointing: Endpointing = None,
    utterance_end_ms: UtteranceEnd = None,
    vad_events: VadEvents = False,
    multichannel: Annotated[bool, typer.Option("--multichannel", help="Transcribe each channel apart.")] = False,
    params: Params = [],  # noqa: B006 -- typer reads the default and hands out a new list
    encoding: Annotated[str | None, typer.Option(help="What headerless input is coded in, for example linear16.")] = None,
    sample_rate: Annotated[int, typer.Option(min=0, help="Hertz of headerless input.")] = 0,
    channels: Annotated[int, typer.Option(min=1, help="Interleaved channels of headerless input.")] = 1,
    as_json: AsJson = False,
    captions: CaptionsInto = None,
    caption_line_length: CaptionLineLength = DEFAULTS.line_length,
    caption_lines: CaptionLines = DEFAULTS.lines,
    caption_duration: CaptionDuration = DEFAULTS.duration_s,
) -> None:
    """Send a recording to a server at the speed of speech, and print its words as they come."""
    declared = _declared(encoding, sample_rate, channels)
    display: Display = JsonLines() if as_json else Screen()
    if captions is not None:
        limits = CueLimits(caption_line_length, caption_lines, caption_duration)
        display = CaptionWriter(display, captions, language or "en", limits)
    if interim_results is None:
        interim_results = sys.stdout.isatty() and not as_json
    query = Query(
        model, language, interim_results, punctuate, endpointing, utterance_end_ms, vad_events, multichannel, params
    )
    with plain_failures():
        try:
            interrupted = asyncio.run(hold(_opened(file, declared, Pacer(speed)), query, url, key, display))
        except LiveFailure as failure:
            raise failed(str(failure)) from failure
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
    if interrupted:
        raise typer.Exit(INTERRUPTED)


def _opened(file: str, declared: AudioFormat | None, pacer: Pacer) -> AbstractAsyncContextManager[LiveSource]:
    if file != "-":
        if not Path(file).is_file():
            raise typer.BadParameter(f"There is no file {file!r}.", param_hint="FILE")
        return open_file(Path(file), declared, pacer)
    if sys.stdin.isatty():
        raise typer.BadParameter("Standard input is a terminal; pipe sound into it.", param_hint="FILE")
    return open_pipe(declared, pacer)


def _declared(encoding: str | None, sample_rate: int, channels: int) -> AudioFormat | None:
    if encoding is None:
        return None
    if encoding not in HEADERLESS_ENCODINGS:
        raise typer.BadParameter(f"Known are {', '.join(HEADERLESS_ENCODINGS)}.", param_hint="--encoding")
    return AudioFormat(encoding, sample_rate, channels)
