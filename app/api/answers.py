"""A transcript in the form that was asked for, for responses and callbacks alike."""

from __future__ import annotations

from app.dialects.deepgram_options import ListenRequest
from app.dialects.deepgram_rest import RequestFacts, render_response
from app.dialects.subtitles import render_srt, render_text, render_vtt
from app.domain.transcript import Timing, Transcript
from app.telemetry import logger

_CAPTIONS = {"srt": (render_srt, "application/x-subrip"), "vtt": (render_vtt, "text/vtt")}
_log = logger(__name__)


def render_answer(transcript: Transcript, asked: ListenRequest, facts: RequestFacts) -> tuple[bytes, str]:
    """The body and its media type."""
    if asked.response_format == "json":
        return render_response(transcript, asked.options, facts), "application/json"
    if asked.response_format == "text":
        return render_text(transcript).encode(), "text/plain; charset=utf-8"
    render, media_type = _CAPTIONS[asked.response_format]
    charset = "; charset=utf-8" if media_type.startswith("text/") else ""
    return render(transcript, asked.captions).encode(), f"{media_type}{charset}"


def server_timing(timing: Timing) -> str:
    """Where the time went, in milliseconds, as browsers and benchmarks read it (W3C Server Timing)."""
    parts = {"queue": timing.queue_s, "decode": timing.decode_s, "total": timing.total_s}
    return ", ".join(f"{name};dur={duration_s * 1000:.1f}" for name, duration_s in parts.items())


def log_work(transcript: Transcript) -> None:
    """One line about a finished recording: numbers only."""
    timing = transcript.timing
    _log.info(
        "recording transcribed",
        model=transcript.model.name,
        audio_s=round(transcript.audio_s, 3),
        channels=len(transcript.channels),
        words=sum(len(channel.words) for channel in transcript.channels),
        total_s=round(timing.total_s, 4),
        decode_s=round(timing.decode_s, 4),
        queue_s=round(timing.queue_s, 4),
    )
