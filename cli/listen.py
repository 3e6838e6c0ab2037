"""``whisperapi listen``: what the microphone hears, as words, while it is said."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext
from typing import Annotated

import typer

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
from cli.microphone import Microphone, MicrophoneUnusable, input_devices


def listen(
    url: Url = DEFAULT_URL,
    key: Key = None,
    device: Annotated[str | None, typer.Option(help="Number or part of the name; the system's choice otherwise.")] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="Show what can record, and end.")] = False,
    model: Model = None,
    language: Language = None,
    interim_results: Interims = None,
    punctuate: Punctuate = True,
    endpointing: Endpointing = None,
    utterance_end_ms: UtteranceEnd = None,
    vad_events: VadEvents = False,
    params: Params = [],  # noqa: B006 -- typer reads the default and hands out a new list
    as_json: AsJson = False,
    captions: CaptionsInto = None,
    caption_line_length: CaptionLineLength = DEFAULTS.line_length,
    caption_lines: CaptionLines = DEFAULTS.lines,
    caption_duration: CaptionDuration = DEFAULTS.duration_s,
) -> None:
    """Send the microphone to a server and print the words as they come. Ctrl-C ends it."""
    if interim_results is None:
        interim_results = sys.stdout.isatty() and not as_json
    display: Display = JsonLines() if as_json else Screen()
    if captions is not None:
        limits = CueLimits(caption_line_length, caption_lines, caption_duration)
        display = CaptionWriter(display, captions, language or "en", limits)
    query = Query(model, language, interim_results, punctuate, endpointing, utterance_end_ms, vad_events, False, params)
    with plain_failures():
        try:
            if list_devices:
                _print_devices()
            else:
                _listen(device, query, url, key, display)
        except (LiveFailure, MicrophoneUnusable) as failure:
            raise failed(str(failure)) from failure
        except KeyboardInterrupt:
            raise typer.Exit from None  # impatience is no failure either


def _listen(device: str | None, query: Query, url: str, key: str | None, display: Display) -> None:
    microphone = Microphone(device, display.show_level)
    typer.echo(f"Listening to {microphone.name}. Ctrl-C ends.", err=True)
    try:
        asyncio.run(hold(nullcontext(microphone), query, url, key, display))
    finally:
        if microphone.lost_s:
            typer.echo(f"The connection was too slow: {microphone.lost_s:.1f} s of speech were not sent.", err=True)


def _print_devices() -> None:
    for device in input_devices():
        mark = "*" if device.is_default else " "
        print(f"{mark} {device.number:3d}  {device.name}  ({device.channels} channels, {device.sample_rate} Hz)")
