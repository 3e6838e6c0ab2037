"""What a Realtime transcription session is to do, and how it is shown in the two shapes that OpenAI's clients read.

The shape of the beta has its fields in the session itself (``input_audio_format``), the general one below ``audio.input``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from app.dialects.openai_names import wanted_language, wanted_model
from app.domain.audio import AudioFormat
from app.domain.options import Keyterm, LiveOptions
from app.domain.stream.options import StreamOptions
from app.domain.vocabulary import strongest

Json = dict[str, Any]

PCM_RATE = 24_000
"""Hertz of ``audio/pcm``: the only rate that OpenAI knows. Here a client may name another."""

OFF_BELOW_ON = 0.15
"""How far below the threshold speech ends: the distance that Silero's detector was tuned with."""

EAGERNESS_S = {"low": 2.0, "medium": 1.0, "high": 0.5, "auto": 1.0}
"""``semantic_vad`` asks a model whether a sentence is finished. Here there is none: silence of this length decides."""

BETA_FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
"""Name of a format -> what the beta calls it."""

_ENCODINGS = {"audio/pcm": "linear16", "audio/pcmu": "mulaw", "audio/pcma": "alaw"}
_SAMPLE_BYTES = {"audio/pcm": 2, "audio/pcmu": 1, "audio/pcma": 1}


class Shape(Enum):
    """Which of its two forms the client speaks."""

    BETA = "beta"
    GENERAL = "general"


@dataclass(frozen=True, slots=True)
class TurnDetection:
    """Who ends a turn is silence of ``silence_ms``. ``eagerness`` is set where ``semantic_vad`` was asked for."""

    threshold: float = 0.5
    padding_ms: int = 300
    silence_ms: int = 500
    eagerness: str | None = None

    @property
    def silence_s(self) -> float:
        """Silence that ends a turn, in seconds."""
        return self.silence_ms / 1000 if self.eagerness is None else EAGERNESS_S[self.eagerness]


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """The effective configuration. ``turn_detection`` None: the client commits. ``noise_reduction`` is only repeated."""

    format: str = "audio/pcm"
    rate: int = PCM_RATE
    model: str | None = None
    language: str | None = None
    languages: tuple[str, ...] = ()
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    delay: str | None = None
    turn_detection: TurnDetection | None = TurnDetection()
    noise_reduction: Json | None = None
    include: tuple[str, ...] = ()

    @property
    def bytes_per_second(self) -> int:
        """Of the audio that the client sends."""
        return self.rate * _SAMPLE_BYTES[self.format]

    def live_options(self) -> LiveOptions:
        """What the stream is to do. Raises ``UnsupportedModel`` for languages nobody knows."""
        language = wanted_language(self.language)
        hints = tuple(code for code in map(wanted_language, self.languages) if code is not None)
        return LiveOptions(
            model=wanted_model(self.model),
            language=language or "en",
            code_switching=language is None,
            language_hints=hints if language is None else (),
            prompt=self.prompt,
            keyterms=strongest(map(Keyterm, self.keywords)),
            audio_format=AudioFormat(_ENCODINGS[self.format], self.rate),
            stream=_stream_options(self.turn_detection),
        )


def _stream_options(turns: TurnDetection | None) -> StreamOptions:
    # every start of speech is told, however short the pause before it: turns may be 200 ms apart
    asked = StreamOptions(interim_results=True, vad_events=True, endpointing_s=None, speech_restart_s=0.0)
    if turns is None:
        return asked
    return replace(
        asked,
        endpointing_s=turns.silence_s,
        preroll_s=turns.padding_ms / 1000,
        speech_on=turns.threshold,
        speech_off=max(0.0, turns.threshold - OFF_BELOW_ON),
    )


def render_session(config: SessionConfig, session_id: str, served_model: str, shape: Shape) -> Json:
    """The session object. ``served_model`` is named where the client named none."""
    transcription: Json = {
        "model": config.model or served_model,
        "language": config.language,
        "prompt": config.prompt,
    }
    session: Json = {"id": session_id, "object": "realtime.transcription_session", "type": "transcription"}
    turns = _shown_turns(config.turn_detection)
    if shape is Shape.BETA:
        return session | {
            "input_audio_format": BETA_FORMATS[config.format],
            "input_audio_transcription": transcription,
            "turn_detection": turns,
            "input_audio_noise_reduction": config.noise_reduction,
            "include": list(config.include) or None,
            "client_secret": None,
        }
    for name, value in (("languages", config.languages), ("keywords", config.keywords), ("delay", config.delay)):
        if value:
            transcription[name] = value
    audio_format: Json = {"type": config.format}
    if config.format == "audio/pcm":
        audio_format["rate"] = config.rate
    heard = {
        "format": audio_format,
        "transcription": transcription,
        "noise_reduction": config.noise_reduction,
        "turn_detection": turns,
    }
    return session | {"audio": {"input": heard}, "include": list(config.include) or None}


def _shown_turns(turns: TurnDetection | None) -> Json | None:
    if turns is None:
        return None
    if turns.eagerness is not None:
        return {"type": "semantic_vad", "eagerness": turns.eagerness}
    return {
        "type": "server_vad",
        "threshold": turns.threshold,
        "prefix_padding_ms": turns.padding_ms,
        "silence_duration_ms": turns.silence_ms,
    }
