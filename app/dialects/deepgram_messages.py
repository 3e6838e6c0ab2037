"""The messages of a live stream, and what becomes of each (contract 3.3, 3.4): the source of the page and of its tests."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """One kind of message. ``from_client``: else the server sends it."""

    name: str
    from_client: bool
    note: str


MESSAGES: tuple[LiveMessage, ...] = (
    LiveMessage(
        "binary, not empty",
        True,
        "Audio: any `encoding` with `sample_rate`, or a container found by its first bytes (WebM, Ogg, fragmented MP4, WAV, "
        "MP3, FLAC, ADTS).",
    ),
    LiveMessage("binary, empty", True, "As `CloseStream`."),
    LiveMessage("KeepAlive", True, "Resets the idle limit of ten seconds."),
    LiveMessage(
        "Finalize",
        True,
        "All so far becomes final: one `Results` per channel with `from_finalize`, empty or not. `channel` names one.",
    ),
    LiveMessage("CloseStream", True, "Last finals, `Metadata`, close 1000."),
    LiveMessage("Configure", True, "Replaces the key terms, switches `numerals`; answered with one of the two below."),
    LiveMessage("Sync", True, "Ignored."),
    LiveMessage("anything else", True, "`Error` of variant `SchemaError`; the stream goes on."),
    LiveMessage("Results", False, "Interims and finals; see [live.md](live.md)."),
    LiveMessage("SpeechStarted", False, "With `vad_events`."),
    LiveMessage("UtteranceEnd", False, "With `utterance_end_ms`, after the final that holds the last word."),
    LiveMessage("Metadata", False, "Once, before a regular close."),
    LiveMessage("Error", False, "Only as the answer to a message that cannot be read."),
    LiveMessage("ConfigureSuccess", False, "With the key terms that hold from now on."),
    LiveMessage("ConfigureFailure", False, "Too many key terms, or an engine that cannot favour any."),
)
