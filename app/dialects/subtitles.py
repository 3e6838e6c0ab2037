"""A transcript as SubRip, WebVTT or plain text. Times are integer milliseconds: a float would print 2.3 s as 2.299."""

from __future__ import annotations

from collections.abc import Iterable

from app.domain.languages import word_space
from app.domain.text.cues import Cue, CueLimits, build_cues
from app.domain.transcript import Transcript, Word


def render_srt(transcript: Transcript, limits: CueLimits | None = None) -> str:
    """SubRip. Empty for a recording without speech.

    Where voices were told apart, ``[speaker 0]`` stands above the text whenever another one speaks; with several channels,
    which count their own speakers, ``[channel 1 speaker 0]``.
    """
    blocks: list[str] = []
    before = ""
    for number, (channel_index, cue) in enumerate(_all_cues(transcript, limits), start=1):
        voice = _voice(cue, channel_index, len(transcript.channels))
        label = f"[{voice.lower()}]\n" if voice and voice != before else ""
        before = voice
        times = f"{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}"
        # SubRip has no way to escape; readers take a line with this arrow for times
        blocks.append(f"{number}\n{times}\n{label}{cue.text.replace('-->', chr(0x2192))}\n")
    return "\n".join(blocks)


def render_vtt(transcript: Transcript, limits: CueLimits | None = None) -> str:
    """WebVTT. Only the header for a recording without speech.

    Voices told apart are ``<v Speaker 0>``, with several channels ``<v Channel 1 Speaker 0>``: a span over the whole cue,
    which needs no end tag.
    """
    blocks: list[str] = []
    for channel_index, cue in _all_cues(transcript, limits):
        voice = _voice(cue, channel_index, len(transcript.channels))
        span = f"<v {voice}>" if voice else ""
        blocks.append(f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{span}{_escape(cue.text)}\n")
    return "\n".join(["WEBVTT\n", *blocks])


def render_text(transcript: Transcript) -> str:
    """The words alone, one line for each channel that has any."""
    lines = [_join(channel.words, channel.language) for channel in transcript.channels if channel.words]
    return "".join(f"{line}\n" for line in lines)


def _all_cues(transcript: Transcript, limits: CueLimits | None) -> list[tuple[int, Cue]]:
    """Cues of all channels in order of time, each with its channel; those of different channels may overlap."""
    until_s = transcript.duration_s
    cues = [
        (index, cue)
        for index, channel in enumerate(transcript.channels)
        for cue in build_cues(channel.words, channel.language, limits, until_s)
    ]
    return sorted(cues, key=lambda item: (item[1].start_ms, item[1].end_ms))


def _voice(cue: Cue, channel_index: int, channels: int) -> str:
    """Who speaks; empty where nobody was told apart. Speakers are counted in their channel: two may have the same number."""
    if cue.speaker is None:
        return ""
    return f"Speaker {cue.speaker}" if channels == 1 else f"Channel {channel_index} Speaker {cue.speaker}"


def _join(words: Iterable[Word], language: str) -> str:
    return word_space(language).join(word.text for word in words)


def _clock(milliseconds: int, point: str) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}{point}{fraction:03d}"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
