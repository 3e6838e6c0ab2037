"""A transcript as SubRip, WebVTT or plain text. Times are integer milliseconds: a float would print 2.3 s as 2.299."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.domain.languages import word_space
from app.domain.text.forms import ends_sentence
from app.domain.transcript import Channel, Transcript, Word

MAX_CUE_CHARACTERS = 84
"""Two lines of 42 characters, the usual limit for subtitles."""

MAX_CUE_S = 7.0
"""Seconds a cue may last, the usual limit for subtitles."""

CUE_GAP_S = 0.8
"""Silence, in seconds, that starts a new cue: as long as the pause that splits utterances."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption: milliseconds from the start of the recording, and its text."""

    start_ms: int
    end_ms: int
    text: str


def render_srt(transcript: Transcript) -> str:
    """SubRip. Empty for a recording without speech."""
    blocks = [
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{cue.text}\n"
        for number, cue in enumerate(_all_cues(transcript), start=1)
    ]
    return "\n".join(blocks)


def render_vtt(transcript: Transcript) -> str:
    """WebVTT. Only the header for a recording without speech."""
    blocks = [
        f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{_escape(cue.text)}\n" for cue in _all_cues(transcript)
    ]
    return "\n".join(["WEBVTT\n", *blocks])


def render_text(transcript: Transcript) -> str:
    """The words alone, one line for each channel that has any."""
    lines = [_join(channel.words, channel.language) for channel in transcript.channels if channel.words]
    return "".join(f"{line}\n" for line in lines)


def _all_cues(transcript: Transcript) -> list[Cue]:
    cues = [cue for channel in transcript.channels for cue in _cues(channel)]
    return sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms))


def _cues(channel: Channel) -> Iterable[Cue]:
    group: list[Word] = []
    for word in channel.words:
        if group and _is_full(group, word, channel.language):
            yield _cue(group, channel.language)
            group = []
        group.append(word)
    if group:
        yield _cue(group, channel.language)


def _is_full(group: list[Word], following: Word, language: str) -> bool:
    return (
        ends_sentence(group[-1].text)
        or following.start_s - group[-1].end_s > CUE_GAP_S
        or following.end_s - group[0].start_s > MAX_CUE_S
        or len(_join([*group, following], language)) > MAX_CUE_CHARACTERS
    )


def _cue(group: list[Word], language: str) -> Cue:
    return Cue(round(group[0].start_s * 1000), round(group[-1].end_s * 1000), _join(group, language))


def _join(words: Iterable[Word], language: str) -> str:
    return word_space(language).join(word.text for word in words)


def _clock(milliseconds: int, point: str) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}{point}{fraction:03d}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
