"""Captions on the command line: their options, and the file that a live stream leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer

from app.dialects.subtitles import render_srt, render_vtt
from app.domain.errors import UnsupportedModel
from app.domain.languages import whisper_language
from app.domain.text.cues import MIN_CUE_S, CueLimits
from app.domain.transcript import Channel, ModelInfo, Segment, Transcript, Word
from cli.live_client import LiveFailure, Message, printable
from cli.live_screen import Display, channel_of

DEFAULTS = CueLimits()

_MOST_CHANNELS = 1024
"""What calls itself a message of more channels is not one: no server has a fraction of these."""

_RENDERERS: dict[str, Callable[[Transcript, CueLimits], str]] = {".srt": render_srt, ".vtt": render_vtt}


def _checked_path(value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() not in _RENDERERS:
        raise typer.BadParameter("Give a name that ends in .srt or .vtt.")
    if value is not None and not value.parent.is_dir():
        raise typer.BadParameter("There is no such folder.")
    return value


CaptionsInto = Annotated[
    Path | None,
    typer.Option(
        "--captions", help="File to write captions into at the end: .srt or .vtt.", dir_okay=False, callback=_checked_path
    ),
]
CaptionLineLength = Annotated[int, typer.Option(min=10, max=200, help="Columns of a caption's line.")]
CaptionLines = Annotated[int, typer.Option(min=1, max=4, help="Lines of a caption.")]
CaptionDuration = Annotated[float, typer.Option(min=1, max=60, help="Most seconds that a caption stands.")]


class CaptionWriter:
    """A display that passes everything on to ``shown`` and, once the stream is over, writes its finals into ``path``.

    However the stream ends, what was heard until then is written. ``LiveFailure``: the file cannot be.
    """

    def __init__(self, shown: Display, path: Path, language: str, limits: CueLimits) -> None:
        self._shown = shown
        self._path = path
        self._language = _code(language) or "en"
        self._limits = limits
        self._words: list[list[Word]] = []  # of each channel, silent ones too: captions number them

    def __enter__(self) -> None:
        self._shown.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._shown.__exit__(kind, error, trace)
        render = _RENDERERS[self._path.suffix.lower()]
        try:
            self._path.write_text(render(self._transcript(), self._limits), encoding="utf-8", newline="\n")
        except OSError as failure:
            raise LiveFailure(f"The captions could not be written: {failure.strerror}.") from error or failure

    def take(self, message: Message) -> None:
        if message.get("type") == "Results" and message.get("is_final"):
            index, count = channel_of(message)
            if 0 <= index < count <= _MOST_CHANNELS:
                self._words += ([] for _ in range(len(self._words), count))
                self._words[index] += _words(message)
        self._shown.take(message)

    def show_level(self, level_db: float) -> None:
        self._shown.show_level(level_db)

    def _transcript(self) -> Transcript:
        """All finals, as one recording: the renderers read its words and languages."""
        channels = tuple(Channel((_segment(words),) if words else (), self._language) for words in self._words)
        ends = [words[-1].end_s for words in self._words if words]
        return Transcript(channels, max(ends, default=0.0) + MIN_CUE_S, ModelInfo("", "", ""))


def _segment(words: list[Word]) -> Segment:
    return Segment("", words[0].start_s, words[-1].end_s, tuple(words), (), 0.0)


def _words(message: Message) -> list[Word]:
    """The words of a final. A server that leaves out what captions need gives none."""
    try:
        return [_word(word) for word in message["channel"]["alternatives"][0]["words"]]
    except (KeyError, IndexError, TypeError, ValueError):
        return []


def _word(word: dict[str, Any]) -> Word:
    speaker, language = word.get("speaker"), word.get("language")
    return Word(
        text="\n".join(map(printable, str(word.get("punctuated_word", word["word"])).split("\n"))),  # dictated line ends
        start_s=float(word["start"]),
        end_s=float(word["end"]),
        confidence=float(word.get("confidence", 0.0)),
        language=None if language is None else _code(str(language)),
        speaker=None if speaker is None else int(speaker),
    )


def _code(tag: str) -> str | None:
    """Whisper's code, which says whether words are written with spaces; None for ``multi`` and the unknown."""
    try:
        return whisper_language(tag)
    except UnsupportedModel:
        return None
