"""What a live stream shows: finals line by line and, on a terminal, the words of the moment below them."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol

import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.text import Text

from cli.live_client import Message, printable

QUIET_DB = -60.0
"""Decibels below full scale that leave the level meter empty."""

_METER_CELLS = 30


class Display(Protocol):
    """Takes the server's messages as they come; used as a context around the stream."""

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def take(self, message: Message) -> None: ...

    def show_level(self, level_db: float) -> None:
        """Loudness of the last piece of sound, in decibels relative to full scale."""
        ...


class JsonLines:
    """Every message, whole, as one line of JSON."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def take(self, message: Message) -> None:
        print(orjson.dumps(message).decode(), flush=True)

    def show_level(self, level_db: float) -> None:
        """A program that reads JSON needs no meter."""


class Screen:
    """Finals on ``console``; interims and the level below them, in place, if it is a terminal.

    Several channels are told apart by their number.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._interims: dict[int, Text] = {}
        self._level_db: float | None = None
        self._live: Live | None = None
        if self._console.is_terminal:
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )

    def __enter__(self) -> None:
        if self._live is not None:
            self._live.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def take(self, message: Message) -> None:
        """Results are shown; of the rest only errors are."""
        if message.get("type") == "Results":
            self._take_results(message)
        elif message.get("type") == "Error":
            said = f"The server says: {printable(str(message.get('description')))}"
            if self._live is None:
                print(said, file=sys.stderr)
            else:
                self._console.print(Text(said), soft_wrap=True)

    def show_level(self, level_db: float) -> None:
        self._level_db = level_db
        self._refresh()

    def _take_results(self, message: Message) -> None:
        channel, channels = channel_of(message)
        line = _transcript(message)
        shown = Text(f"[{channel}] {line}" if channels > 1 and line else line)
        if not message.get("is_final"):
            shown.stylize("dim")
            self._interims[channel] = shown
        else:
            self._interims.pop(channel, None)
        self._refresh()
        if message.get("is_final") and line:
            self._console.print(shown, soft_wrap=True)
            self._console.file.flush()

    def _refresh(self) -> None:
        if self._live is None:
            return
        parts: list[RenderableType] = [text for _, text in sorted(self._interims.items()) if text.plain]
        if self._level_db is not None:
            loudness = max(0.0, min(1.0, 1.0 - self._level_db / QUIET_DB))
            parts.append(ProgressBar(total=1.0, completed=loudness, width=_METER_CELLS))
        self._live.update(Group(*parts), refresh=True)


def _transcript(message: Message) -> str:
    try:
        return printable(str(message["channel"]["alternatives"][0]["transcript"]))
    except (KeyError, IndexError, TypeError):
        return ""


def channel_of(message: Message) -> tuple[int, int]:
    """Its index, and how many there are."""
    try:
        index, count = message["channel_index"]
        return int(index), int(count)
    except (KeyError, TypeError, ValueError):
        return 0, 1
